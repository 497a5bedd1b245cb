"""The work behind a job: validate the files, train in a process of its own, register what came out."""
