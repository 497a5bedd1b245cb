"""Room for what oneDNN prepares, which multiplies matrices for PyTorch on a processor.

It prepares a product once for each shape and keeps 1,024 of them. In training batches have lengths of many kinds and each layer
several products, so that with too little room they are prepared anew at every step. A product takes some 0.2 MB.
`batches.MULTIPLE` keeps their number low.

    keep_prepared_products()
    import torch
"""

import os

_NAME, _PRODUCTS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "4096"


def keep_prepared_products() -> None:
    """For a process that trains, before its first product: oneDNN reads the setting then. The user's own is left as it is."""
    os.environ.setdefault(_NAME, _PRODUCTS)
