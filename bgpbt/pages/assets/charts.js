"use strict";
// Draws the charts of a page from the numbers in it. No library, no network.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 62, right: 14, top: 8, bottom: 36 };
const REACH = 28; // pixels from the pointer to what is told

function node(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function isKnown(x) { return x !== null && x !== undefined && Number.isFinite(x); }

// Numbers as people read them.

function short(x) {
  if (!isKnown(x)) return "–";
  const size = Math.abs(x);
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (size >= factor) return `${Number((x / factor).toPrecision(3))}${unit}`;
  if (size !== 0 && size < 1e-3) return x.toExponential(1).replace("e-", "e−").replace(".0e", "e");
  return `${Number(x.toPrecision(3))}`.replace("-", "−");
}

function told(x) {
  if (!isKnown(x)) return "–";
  return (Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(2) : `${Number(x.toPrecision(4))}`).replace("-", "−");
}

// Scales: from values to pixels, and the values that are named at an axis.

function extent(values, pad = 0.04) {
  let low = Infinity, high = -Infinity;
  for (const x of values) if (isKnown(x)) { if (x < low) low = x; if (x > high) high = x; }
  if (low > high) return [0, 1];
  const space = (high - low || Math.abs(high) || 1) * pad;
  return [low - space, high + space];
}

function scale([low, high], from, to, log = false) {
  const f = log ? Math.log : (x) => x;
  const a = f(low), b = f(high);
  const map = (x) => from + (to - from) * (b === a ? 0.5 : (f(x) - a) / (b - a));
  map.ticks = (count) => (log ? logTicks(low, high, count) : ticks(low, high, count));
  return map;
}

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high, count) {
  const found = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const m of [1, 2, 5]) { const x = m * 10 ** p; if (x >= low * 0.999 && x <= high * 1.001) found.push(x); }
  const tens = found.filter((x) => Math.abs(Math.log10(x) - Math.round(Math.log10(x))) < 1e-9);
  const chosen = tens.length >= 2 ? tens : found.length ? found : [low, high];
  const stride = Math.ceil(chosen.length / Math.max(count, 1));
  return chosen.filter((_, i) => i % stride === 0);
}

// A chart draws itself anew whenever its width changes.

function chart(place, height, draw) {
  const box = document.createElement("div");
  box.className = "chart";
  place.append(box);
  let width = 0;
  const redraw = () => {
    const now = Math.max(Math.round(box.clientWidth), 160);
    if (now === width) return;
    width = now;
    const tall = typeof height === "function" ? height(width) : height;
    const svg = node("svg", { width, height: tall, viewBox: `0 0 ${width} ${tall}`, role: "img" });
    const points = draw(svg, width, tall) || [];
    box.replaceChildren(svg);
    listen(box, svg, points);
  };
  redraw();
  new ResizeObserver(() => requestAnimationFrame(redraw)).observe(box);
  return box;
}

function listen(box, svg, points) {
  if (!points.length) return;
  const halo = node("circle", { class: "halo", r: 5, visibility: "hidden" });
  svg.append(halo);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  box.append(tip);
  const hide = () => { tip.hidden = true; halo.setAttribute("visibility", "hidden"); };
  svg.addEventListener("pointerleave", hide);
  const show = (event) => {
    const around = svg.getBoundingClientRect();
    const x = event.clientX - around.left, y = event.clientY - around.top;
    let nearest = null, least = REACH * REACH;
    for (const p of points) {
      const d = (p[0] - x) ** 2 + (p[1] - y) ** 2;
      if (d < least) { least = d; nearest = p; }
    }
    if (!nearest) return hide();
    halo.setAttribute("cx", nearest[0]); halo.setAttribute("cy", nearest[1]);
    halo.setAttribute("visibility", "visible");
    tip.replaceChildren(...nearest[2]());
    tip.hidden = false;
    const left = nearest[0] + 12 + tip.offsetWidth > around.width ? nearest[0] - tip.offsetWidth - 12 : nearest[0] + 12;
    tip.style.left = `${Math.max(left, 0)}px`;
    tip.style.top = `${nearest[1] + 10}px`;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
}

function axes(svg, width, height, x, y, xLabel, yLabel, { yNames, xNames } = {}) {
  const { left, right, top, bottom } = MARGIN;
  const base = height - bottom;
  svg.append(node("path", { class: "axis", d: `M${left},${top}V${base}H${width - right}` }));
  let end = -Infinity;
  for (const value of xNames ? xNames.map((_, i) => i) : x.ticks(Math.max(3, Math.floor(width / 85)))) {
    const words = xNames ? xNames[value] : short(value), at = x(value), half = words.length * 3.2;
    if (at - half < end + 6) continue; // names do not run into each other
    end = at + half;
    svg.append(node("path", { class: "axis", d: `M${at},${base}v4` }));
    svg.append(node("text", { x: at, y: base + 16, "text-anchor": "middle" }, words));
  }
  for (const value of yNames ? yNames.map((_, i) => i) : y.ticks(Math.max(2, Math.floor(height / 45)))) {
    svg.append(node("path", { class: "axis", d: `M${left - 4},${y(value)}h4` }));
    svg.append(node("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, cut(yNames ? yNames[value] : short(value), 9)));
  }
  svg.append(node("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel));
  if (yLabel) {
    const middle = (top + base) / 2;
    svg.append(node("text", { x: 11, y: middle, transform: `rotate(-90 11 ${middle})`, "text-anchor": "middle" }, cut(yLabel, Math.floor((base - top) / 6.2))));
  }
}

function cut(words, most) { return words.length > most ? `${words.slice(0, Math.max(most - 1, 1))}…` : words; }

function line(xs, ys) {
  let d = "", broken = true;
  for (let i = 0; i < xs.length; i++) {
    if (!isKnown(xs[i]) || !isKnown(ys[i])) { broken = true; continue; }
    d += `${broken ? "M" : "L"}${xs[i].toFixed(1)},${ys[i].toFixed(1)}`;
    broken = false;
  }
  return d;
}

function legend(place, entries) {
  const box = document.createElement("div");
  box.className = "legend";
  for (const [mark, words] of entries) {
    const item = document.createElement("span");
    const svg = node("svg", { viewBox: "0 0 24 12" });
    svg.append(typeof mark === "string" ? node("path", { class: mark, d: "M1,6H23" }) : mark);
    item.append(svg, words);
    box.append(item);
  }
  place.append(box);
}

function dot(kind, r = 3.5) { return node("circle", { class: kind, cx: 12, cy: 6, r }); }

// Words for a tip: a title, and pairs of a name and a value.

function tip(title, pairs) {
  const head = document.createElement("b");
  head.textContent = title;
  const list = document.createElement("dl");
  for (const [name, value] of pairs) {
    const a = document.createElement("dt"), b = document.createElement("dd");
    a.textContent = name; b.textContent = value;
    list.append(a, b);
  }
  return [head, list];
}
