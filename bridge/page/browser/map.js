// The map: where clips and styles lie in the model's latent space, in two dimensions. A press lets hear what is there.

export class MorphMap {
  constructor({ root, daemon, session, drums, say }) { Object.assign(this, { root, daemon, session, drums, say }); }

  forget() {}

  load() { this.root.hidden = true; }

  draw() {}
}
