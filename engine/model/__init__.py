"""The networks. Three of them: vae.py, over grooves, musicvae.py, over tokens, and phrases/vae.py, over drums of
many bars; read these first, top-down.

Both take their encoder from encoder.py, their LSTMs from lstm.py, and generate step by step with stepping.py.
Grooves: tasks.py says what the encoder reads and what the decoder is given, groove_decoder.py is GrooVAE's decoder;
drummer_decoder.py is ours, made of pattern.py (which drums are hit), performer.py (samples timing and velocity,
along the hits of walk.py) and expectation.py (predicts their mean). Tokens: token_decoder.py, with nade.py. Tensors
in, tensors out.
"""
