// From a folder of tracks and labels to predictions of new recordings, a task for each file.
//     nextflow run main.nf --labelled MY_PROJECT --new 'NEW_TRACKS/*.h5' -with-docker mabe
params.labelled = null
params.new = null
params.out = 'results'

process IMPORT {
    input:
    path labelled

    output:
    path 'data'

    script:
    """
    mabe import ${labelled} --out data --quiet
    """
}

process TRAIN {
    publishDir params.out, mode: 'copy'

    input:
    path data

    output:
    path 'run'

    script:
    """
    mabe train ${data} --out run --workers ${task.cpus} --quiet
    """
}

process PREDICT {
    publishDir "${params.out}/predicted", mode: 'copy'
    tag "${tracks.simpleName}"

    input:
    path run
    path tracks

    output:
    path "${tracks.simpleName}"

    script:
    """
    mabe predict ${run} ${tracks} --out ${tracks.simpleName} --quiet --json > result.json
    """
}

workflow {
    data = IMPORT(channel.fromPath(params.labelled, type: 'dir'))
    run = TRAIN(data)
    PREDICT(run.first(), channel.fromPath(params.new))
}
