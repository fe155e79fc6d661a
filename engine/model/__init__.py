"""The networks. Three of them: vae.py (grooves), musicvae.py (tokens), phrases/vae.py (drums): read these first.

They take their LSTMs from lstm.py, and generate step by step with stepping.py.
Grooves: tasks.py says what the encoder reads and what the decoder is given, groove_decoder.py is GrooVAE's decoder;
drummer_decoder.py is ours, made of pattern.py (which drums are hit), performer.py (samples timing and velocity,
along the hits of walk.py) and expectation.py (predicts their mean). Tokens: token_decoder.py, with nade.py. Tensors
in, tensors out.
"""
