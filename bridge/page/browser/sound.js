// Our own instruments in Web Audio: a drum kit and two voices, made of oscillators and noise. No samples.
// The same code sounds in an AudioContext and is rendered by an OfflineAudioContext.

const ATTACK_SECONDS = 0.0004;  // short enough to be exact, long enough not to click
const DRUM_CHANNEL = 10;

export class Sound {
  // drums: pitches by instrument, as the daemon's drum map has them.
  constructor(context, drums, destination) {
    this.context = context;
    this.kinds = new Map(Object.entries(drums).flatMap(([kind, pitches]) => pitches.map((pitch) => [pitch, kind])));
    this.noise = noiseBuffer(context);
    this.out = destination || limited(context);
  }

  // Sound a note at a moment of the context; what comes back stops it: at once, or before it has begun.
  play(channel, pitch, velocity, when, seconds) {
    const loudness = (velocity / 127) ** 1.6;
    const voice = new Voice(this.context, this.out);
    if (channel === DRUM_CHANNEL) (KIT[this.kinds.get(pitch)] || KIT.other)(voice, this, pitch, loudness, when);
    else if (pitch < 52) bass(voice, pitch, loudness, when, seconds);
    else lead(voice, pitch, loudness, when, seconds);
    return voice;
  }
}

class Voice {
  constructor(context, out) {
    this.context = context;
    this.gain = new GainNode(context, { gain: 1 });
    this.gain.connect(out);
    this.sources = [];
  }

  // A source through nodes, with a level that falls from its attack on.
  add(source, nodes, level, when, decay, hold = 0) {
    const envelope = new GainNode(this.context, { gain: 0 });
    envelope.gain.setValueAtTime(0, when);
    envelope.gain.linearRampToValueAtTime(level, when + ATTACK_SECONDS);
    envelope.gain.setTargetAtTime(0, when + ATTACK_SECONDS + hold, decay / 4);
    [source, ...nodes, envelope, this.gain].reduce((from, to) => { from.connect(to); return to; });
    source.start(when);
    source.stop(when + hold + 2.5 * decay);
    source.onended = () => envelope.disconnect();
    this.sources.push(source);
  }

  // Ends what sounds within 8 ms; what has not begun never does.
  stop() {
    const now = this.context.currentTime;
    this.gain.gain.setTargetAtTime(0, now, 0.002);
    for (const source of this.sources) source.stop(now + 0.008);
  }

  tone(type, frequency, when, to, seconds) {
    const source = new OscillatorNode(this.context, { type, frequency });
    if (to) {
      source.frequency.setValueAtTime(frequency, when);
      source.frequency.exponentialRampToValueAtTime(to, when + seconds);
    }
    return source;
  }

  filter(type, frequency, Q = 0.7) { return new BiquadFilterNode(this.context, { type, frequency, Q }); }

  hiss(buffer) { return new AudioBufferSourceNode(this.context, { buffer, loop: true }); }
}

function metal(voice, sound, level, when, decay, frequency) {
  voice.add(voice.hiss(sound.noise), [voice.filter("highpass", frequency)], level, when, decay);
  for (const ratio of [1, 1.483, 1.932]) {
    const square = voice.tone("square", frequency * 0.43 * ratio, when);
    voice.add(square, [voice.filter("highpass", frequency)], level * 0.16, when, decay);
  }
}

function tom(frequency) {
  return (voice, sound, pitch, level, when) => {
    voice.add(voice.tone("sine", frequency * 1.6, when, frequency, 0.09), [], level * 0.75, when, 0.3);
    voice.add(voice.hiss(sound.noise), [voice.filter("bandpass", frequency * 5)], level * 0.12, when, 0.05);
  };
}

const KIT = {
  kick: (voice, sound, pitch, level, when) => {
    voice.add(voice.tone("sine", 155, when, 47, 0.075), [], level, when, 0.34);
    voice.add(voice.hiss(sound.noise), [voice.filter("lowpass", 3200)], level * 0.22, when, 0.012);
  },
  snare: (voice, sound, pitch, level, when) => {
    if (pitch === 37) {  // a side stick
      voice.add(voice.tone("triangle", 1750, when), [voice.filter("bandpass", 1750, 3)], level * 0.8, when, 0.04);
      return;
    }
    voice.add(voice.tone("triangle", 240, when, 178, 0.05), [], level * 0.45, when, 0.13);
    voice.add(voice.hiss(sound.noise), [voice.filter("highpass", 1300)], level * 0.5, when, 0.19);
  },
  closed_hat: (voice, sound, pitch, level, when) => metal(voice, sound, level * 0.36, when, 0.06, 7400),
  open_hat: (voice, sound, pitch, level, when) => metal(voice, sound, level * 0.34, when, 0.42, 7000),
  low_tom: tom(82), mid_tom: tom(112), high_tom: tom(150),
  crash: (voice, sound, pitch, level, when) => metal(voice, sound, level * 0.42, when, 1.5, 4200),
  ride: (voice, sound, pitch, level, when) => {
    metal(voice, sound, level * 0.16, when, 0.85, 6100);
    voice.add(voice.tone("triangle", 3150, when), [], level * 0.1, when, 0.22);
  },
  other: (voice, sound, pitch, level, when) => {
    voice.add(voice.tone("triangle", 500 + 14 * pitch, when), [], level * 0.35, when, 0.06);
  },
};

const hertz = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

function bass(voice, pitch, level, when, seconds) {
  const hold = Math.max(0.03, seconds - 0.03), filter = voice.filter("lowpass", 300 + 1500 * level, 2);
  filter.frequency.setTargetAtTime(260, when, 0.12);
  voice.add(voice.tone("sawtooth", hertz(pitch), when), [filter], level * 0.5, when, 0.12, hold);
  voice.add(voice.tone("sine", hertz(pitch), when), [], level * 0.35, when, 0.12, hold);
}

function lead(voice, pitch, level, when, seconds) {
  const hold = Math.max(0.03, seconds - 0.03);
  voice.add(voice.tone("triangle", hertz(pitch), when), [], level * 0.34, when, 0.25, hold);
  const square = voice.tone("square", hertz(pitch), when);
  voice.add(square, [voice.filter("lowpass", 900 + 2600 * level)], level * 0.11, when, 0.2, hold);
}

// The same noise each time, so that a rendering can be compared.
function noiseBuffer(context) {
  const buffer = context.createBuffer(1, context.sampleRate, context.sampleRate);
  const samples = buffer.getChannelData(0);
  let state = 22222;
  for (let i = 0; i < samples.length; i += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    samples[i] = state / 2147483648 - 1;
  }
  return buffer;
}

function limited(context) {
  const limiter = new DynamicsCompressorNode(context, { threshold: -9, ratio: 8, attack: 0.002, release: 0.12 });
  const gain = new GainNode(context, { gain: 0.8 });
  gain.connect(limiter).connect(context.destination);
  return gain;
}
