// Labels of another program's file: chosen, shown beside the labels there are, taken; and all
// labels as a file for BORIS.
import { breakable, element, project, send, time } from "./project.js";
import { say } from "./settings.js";
import * as server from "./server.js";
import { count } from "./words.js";

const byId = (id) => document.getElementById(id);
const NOTE = ["incoming-note"];

project.incoming = (isOther, isOtherJob) => {
  const { incoming, job } = project.state, isBusy = Boolean(job?.running);
  byId("incoming-file").disabled = isBusy;
  byId("incoming-undo").hidden = !project.state.canUndoImport;
  if (job?.what === "incoming" && isOtherJob) say("incoming-state", isBusy ? "Reading the labels …" : job.error ?? "", Boolean(job.error));
  if (!isOther) return;
  byId("incoming").hidden = !incoming;
  if (!incoming) return;
  const differing = incoming.rows.reduce((sum, each) => sum + each.conflictSeconds, 0);
  say("incoming-state", `${incoming.file}: ${count(incoming.rows.reduce((sum, each) => sum + each.bouts, 0), "bout")}. ${differing ? `In ${differing.toFixed(1)} s it differs from labels here.` : "Nothing differs from labels here."}`);
  byId("incoming-rows").replaceChildren(...incoming.rows.map((each) => {
    const row = element("tr"), head = element("th", "", { scope: "row" }), isNew = incoming.newActions.includes(each.action);
    const leftOut = each.leftOut ? `, ${each.leftOut} left out: not between the animals that this action is of here` : "";
    head.append(...breakable(each.recording));
    row.append(
      head, element("td", `${each.action}${isNew ? " (new)" : ""}`),
      element("td", `${each.bouts}${leftOut}`), element("td", time(each.newSeconds)),
      element("td", each.conflictSeconds ? `${each.conflictSeconds.toFixed(1)} s` : "–"),
    );
    return row;
  }));
  byId("incoming-notes").replaceChildren(...incoming.notes.map((each) => element("li", each)));
  byId("incoming-mine").textContent = differing ? "Import; my labels stay where they differ" : "Import";
  byId("incoming-theirs").hidden = !differing;
};

byId("incoming-file").addEventListener("change", async () => {
  const [file] = byId("incoming-file").files;
  say("incoming-state", "");
  if (file) await send(`incoming?name=${encodeURIComponent(file.name)}`, "POST", await file.arrayBuffer(), NOTE);
  byId("incoming-file").value = "";
});
const IMPORTED = "is imported: its labels are in the table of recordings. “Take the import back” undoes it.";
const DONE = {
  mine: (file) => `${file} ${IMPORTED}`, theirs: (file) => `${file} ${IMPORTED}`,
  discard: (file) => `${file} is discarded; nothing is changed.`,
  undo: () => "The import is taken back: the labels are as they were before it.",
};
for (const what of Object.keys(DONE)) {
  byId(`incoming-${what}`).addEventListener("click", async () => {
    const file = project.state.incoming?.file ?? "";
    if (await send(`incoming/${what}`, "POST", undefined, NOTE)) say("incoming-state", DONE[what](file));
    byId("incoming-file").focus();
  });
}

byId("export-labels").addEventListener("click", async () => {
  try {
    const address = URL.createObjectURL(await (await server.request("labels.boris")).blob());
    const name = `${project.state.name}-labels.boris`;
    element("a", "", { href: address, download: name }).click();
    URL.revokeObjectURL(address);
    say("export-state", `${name} is in the folder of downloads.`);
  } catch (error) {
    say("export-state", error.message, true);
  }
});
