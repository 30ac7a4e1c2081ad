"""Every file format in and out, `project.yaml`, prediction folders and submissions."""
