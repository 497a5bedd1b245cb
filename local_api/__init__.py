"""The local API: the hosted fine-tuning API's paths on this machine, with real training behind them.

It imports nothing from `helpers`. Start it with `python -m local_api --data-dir DIR`, and talk to it with the official
client: `openai.OpenAI(base_url="http://127.0.0.1:PORT/v1", api_key=...)`.
"""

__version__ = "0.1.0"
