"""The networks. Two of them: vae.py, over grooves, and musicvae.py, over tokens; read these two first, top-down.

Both take their encoder from encoder.py and step their LSTMs with lstm.py. Grooves: tasks.py says what is heard and
told, groove_decoder.py is GrooVAE's decoder; drummer_decoder.py is ours, of pattern.py (which drums), performer.py
(how) and expectation.py (how on average). Tokens: token_decoder.py, with nade.py. Tensors in, tensors out.
"""
