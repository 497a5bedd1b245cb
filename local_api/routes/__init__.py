"""One file a resource: parse, call, shape. No logic, no SQL."""

from local_api.routes import chat, completions, embeddings, engines, files, fine_tunes, fine_tuning, health, models

ROUTERS = [module.router for module in (health, models, files, fine_tuning, fine_tunes, completions, engines, chat,
                                          embeddings)]
