"""The tiny model: `config.json`, `model.safetensors` and `tokenizer.json` in this folder, and `train.py` that made them."""
