"""One file a resource: parse, call, shape. No logic, no SQL."""

from local_api.routes import chat, completions, embeddings, files, fine_tuning, health, models

ROUTERS = [module.router for module in (health, models, files, fine_tuning, completions, chat, embeddings)]
