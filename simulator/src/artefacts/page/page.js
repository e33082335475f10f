'use strict';

// The filter: every word has to stand somewhere in the row, closed or open.
const filter = document.getElementById('filter');
const rows = [...document.querySelectorAll('#ladder .row')];
const texts = rows.map(row => row.textContent.toLowerCase());
function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, at) => {
    const fits = words.every(word => texts[at].includes(word));
    row.classList.toggle('hidden', !fits);
    shown += fits;
  });
  document.getElementById('count').textContent = words.length ? `${shown} of ${rows.length} arrows` : `${rows.length} arrows`;
}
filter.addEventListener('input', narrow);
narrow();

// Spectrograms: from the samples in the page, 256 at a time, from below as far as the tones are that are expected.
const SIZE = 256, RATE = 8000;
for (const canvas of document.querySelectorAll('canvas')) {
  const audio = canvas.parentElement.querySelector('audio');
  draw(canvas, samples(audio.src), null);
  audio.addEventListener('timeupdate', () => draw(canvas, null, audio.currentTime));
  canvas.addEventListener('click', click => {
    const box = canvas.getBoundingClientRect();
    audio.currentTime = (click.clientX - box.left) / box.width * audio.duration;
    audio.play();
  });
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const canvas of document.querySelectorAll('canvas')) { canvas.picture = null; draw(canvas, canvas.samples, null); }
});

function samples(source) {
  const bytes = atob(source.slice(source.indexOf(',') + 1));
  const count = (bytes.length - 44) / 2, values = new Float32Array(count);
  for (let at = 0; at < count; at++) {
    const value = bytes.charCodeAt(44 + 2 * at) | bytes.charCodeAt(45 + 2 * at) << 8;
    values[at] = (value << 16 >> 16) / 32768;
  }
  return values;
}

function draw(canvas, values, played) {
  if (values) canvas.samples = values;
  const width = canvas.width = 1040, height = canvas.height = 380, foot = 34, tall = height - foot;
  const context = canvas.getContext('2d');
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const voices = JSON.parse(canvas.dataset.voices);
  const top = voices.every(([, tone]) => tone < 1900) ? RATE / 4 : RATE / 2;
  canvas.picture ??= spectrogram(canvas.samples, Math.min(width, 520), top / (RATE / 2) * SIZE / 2, dark);
  context.fillStyle = dark ? '#15171a' : '#ffffff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas.picture, 0, 0, width, tall);
  const length = canvas.samples.length / RATE, begins = +canvas.dataset.begins;
  const x = second => (second - begins) / length * width;
  context.font = '20px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const ink = dark ? '#e4e6e9' : '#1c1e21', dim = dark ? '#9299a3' : '#6b7280', bad = dark ? '#ff7a80' : '#c0262d';
  // The tones that are expected.
  const y = tone => tall - tone / top * tall;
  for (const [at, [name, tone]] of voices.entries()) {
    context.strokeStyle = dim; context.setLineDash([8, 8]); context.lineWidth = 1;
    line(context, 0, y(tone), width, y(tone));
    context.setLineDash([]);
    const label = `${name} ${tone} Hz`;
    context.fillStyle = dark ? '#15171acc' : '#ffffffcc';
    // Beside each other, as voices may be close.
    const right = width - 8 - at % 4 * 190, wide = context.measureText(label).width;
    context.fillRect(right - wide - 4, y(tone) - 20, wide + 8, 19);
    context.fillStyle = ink;
    context.fillText(label, right - wide, y(tone) - 10);
  }
  for (let tone = top / 4; tone < top; tone += top / 4) {
    context.fillStyle = dim;
    context.fillText(`${tone} Hz`, 6, y(tone));
  }
  // Seconds of the run below, and when something was said.
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120].find(step => length / step <= 9) ?? 300;
  context.fillStyle = dim; context.strokeStyle = dim; context.lineWidth = 2;
  for (let at = Math.ceil(begins / step) * step; at <= begins + length; at += step) {
    line(context, x(at), tall, x(at), tall + 8);
    const label = `${+at.toFixed(2)} s`;
    context.fillText(label, Math.min(Math.max(x(at) - context.measureText(label).width / 2, 2), width - 60), tall + 22);
  }
  for (const [at, , failed] of JSON.parse(canvas.dataset.marks)) {
    if (at < begins || at > begins + length) continue;
    context.strokeStyle = failed ? bad : ink; context.lineWidth = failed ? 3 : 1.5;
    line(context, x(at), failed ? 0 : tall - 16, x(at), tall);
  }
  if (played !== null) {
    context.strokeStyle = bad; context.lineWidth = 2;
    line(context, played / length * width, 0, played / length * width, tall);
  }
  canvas.dataset.drawn = 'yes';
}

function line(context, fromX, fromY, toX, toY) {
  context.beginPath(); context.moveTo(fromX, fromY); context.lineTo(toX, toY); context.stroke();
}

function spectrogram(values, columns, bins, dark) {
  const picture = document.createElement('canvas');
  picture.width = columns; picture.height = bins;
  const context = picture.getContext('2d'), image = context.createImageData(columns, bins);
  const real = new Float32Array(SIZE), imaginary = new Float32Array(SIZE);
  for (let column = 0; column < columns; column++) {
    const centre = Math.floor((column + 0.5) / columns * values.length);
    for (let at = 0; at < SIZE; at++) {
      const window = 0.5 - 0.5 * Math.cos(2 * Math.PI * at / (SIZE - 1));
      real[at] = (values[centre - SIZE / 2 + at] ?? 0) * window;
      imaginary[at] = 0;
    }
    transform(real, imaginary);
    for (let bin = 0; bin < bins; bin++) {
      const decibels = 20 * Math.log10(Math.hypot(real[bin], imaginary[bin]) / (SIZE / 4) + 1e-6);
      const strength = Math.min(Math.max((decibels + 62) / 56, 0), 1);
      const place = ((bins - 1 - bin) * columns + column) * 4;
      const [red, green, blue] = dark
        ? [30 + 225 * strength, 33 + 170 * strength ** 1.3, 38 + 60 * strength]
        : [244 - 224 * strength, 245 - 165 * strength, 247 - 80 * strength];
      image.data.set([red, green, blue, 255], place);
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

// The transform of Cooley and Tukey, in place.
function transform(real, imaginary) {
  const size = real.length;
  for (let at = 1, other = 0; at < size; at++) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) {
      [real[at], real[other]] = [real[other], real[at]];
      [imaginary[at], imaginary[other]] = [imaginary[other], imaginary[at]];
    }
  }
  for (let length = 2; length <= size; length <<= 1) {
    const angle = -2 * Math.PI / length;
    for (let from = 0; from < size; from += length) {
      for (let at = 0; at < length / 2; at++) {
        const cosine = Math.cos(angle * at), sine = Math.sin(angle * at);
        const one = from + at, other = one + length / 2;
        const turnedReal = real[other] * cosine - imaginary[other] * sine;
        const turnedImaginary = real[other] * sine + imaginary[other] * cosine;
        real[other] = real[one] - turnedReal; imaginary[other] = imaginary[one] - turnedImaginary;
        real[one] += turnedReal; imaginary[one] += turnedImaginary;
      }
    }
  }
}
