"""The API of 2021 (`/v1/fine-tunes`), as a view of the same jobs, models and files: names, rules, shapes, messages."""
