"use strict";
// The charts of one run. `data` is what `content.py` says.

const data = JSON.parse(document.getElementById("data").textContent);
const { rows, rounds, dimensions } = data;
const won = new Set(data.won);
const count = rows.round.length;
const lastRound = Math.max(...rows.round);
const wins = data.won;
const STEPS = "timesteps per member";

function valueOf(dim, i) {
  const x = rows.values[dim.name][i];
  return dim.names && isKnown(x) ? dim.names[x] : typeof x === "string" ? x : told(x);
}

function configuration(i) { return dimensions.map((dim) => [dim.name, valueOf(dim, i)]); }

function origin(i) {
  const parent = rows.parent[i];
  if (rows.round[i] === 0) return "untrained";
  const how = data.how[rows.source[i]];
  const others = data.others.filter(([row]) => row === i).map(([, p, block]) => `member ${rows.member[p]}'s ${data.blocks[block]}`);
  let words = "own weights";
  if (parent < 0) words = "fresh weights";
  else if (rows.member[parent] !== rows.member[i]) words = `member ${rows.member[parent]}'s weights`;
  if (others.length) words += `, ${others.join(", ")}`;
  return how ? `${words}, configuration ${how}` : words;
}

function tipOf(i) {
  const known = isKnown(rows.fitness[i]) ? told(rows.fitness[i]) : "failed";
  return tip(`member ${rows.member[i]}, round ${rows.round[i]}${won.has(i) ? ", winner's lineage" : ""}`,
    [["fitness", known], ["weights", origin(i)], ...configuration(i)]);
}

function marks(svg, x, height) {
  // Where generations begin, and where students learnt from a teacher.
  const base = height - MARGIN.bottom;
  rounds.generation.forEach((generation, i) => {
    if (i && generation !== rounds.generation[i - 1])
      svg.append(node("path", { class: "s-generation", d: `M${x(rounds.timesteps[i - 1])},${MARGIN.top}V${base}` }));
    if (i && rounds.phase[i] === "distillation") {
      const from = x(rounds.timesteps[i - 1]), to = x(rounds.timesteps[i]);
      svg.append(node("rect", { class: "f-students", x: from, y: MARGIN.top, width: Math.max(to - from, 0), height: base - MARGIN.top }));
    }
  });
}

// Lines from parents to children. A configuration holds for a whole round: steps.
function segments(x, y, values, steps, chosen = rows.round.keys()) {
  let d = "";
  for (const i of chosen) {
    const p = rows.parent[i];
    if (p < 0 || !isKnown(values[i]) || !isKnown(values[p])) continue;
    d += `M${x(rows.timesteps[p]).toFixed(1)},${y(values[p]).toFixed(1)}`;
    const to = [x(rows.timesteps[i]).toFixed(1), y(values[i]).toFixed(1)];
    d += steps ? `V${to[1]}H${to[0]}` : `L${to[0]},${to[1]}`;
  }
  return d;
}

function fade() { return Math.min(0.8, 12 / new Set(rows.member).size); }

// The axis ends where members are far worse than all curves.
function fitnessExtent() {
  const curves = [...rounds.best, ...rounds.median, ...wins.map((i) => rows.fitness[i]), ...(rounds.report || [])];
  const [low, high] = extent(curves, 0), all = extent(rows.fitness, 0);
  const far = high - low || Math.abs(high) || 1;
  const ends = data.minimise ? [all[0], Math.min(all[1], high + far)] : [Math.max(all[0], low - far), all[1]];
  return extent([...ends, low, high]);
}

function learningCurve(place) {
  chart(place, (width) => (width < 600 ? 300 : 420), (svg, width, height) => {
    const x = scale(extent(rows.timesteps, 0.02), MARGIN.left, width - MARGIN.right);
    const [low, high] = fitnessExtent();
    const y = scale([low, high], height - MARGIN.bottom, MARGIN.top);
    const shown = rows.fitness.map((f) => (isKnown(f) && f >= low && f <= high ? f : null));
    const at = rounds.timesteps.map(x), Y = (v) => (isKnown(v) ? y(v) : null);
    marks(svg, x, height);
    svg.append(node("path", { class: "s-member", opacity: fade(), d: segments(x, y, shown, false) }));
    const up = rounds.high.map(Y), down = rounds.low.map(Y);
    let band = "";
    for (let i = 1; i < at.length; i++)
      if (isKnown(up[i]) && isKnown(up[i - 1]))
        band += `M${at[i - 1]},${clampY(down[i - 1])}L${at[i - 1]},${clampY(up[i - 1])}L${at[i]},${clampY(up[i])}L${at[i]},${clampY(down[i])}Z`;
    function clampY(v) { return Math.min(Math.max(v, MARGIN.top), height - MARGIN.bottom); }
    svg.append(node("path", { class: "s-band", d: band }));
    svg.append(node("path", { class: "s-best", d: line(at, rounds.best.map(Y)) }));
    svg.append(node("path", { class: "s-median", d: line(at, rounds.median.map(Y)) }));
    svg.append(node("path", { class: "s-winner", d: segments(x, y, shown, false, wins) }));
    const points = [];
    for (let i = 0; i < count; i++) {
      if (shown[i] === null && isKnown(rows.fitness[i])) continue;
      const failed = !isKnown(rows.fitness[i]);
      const px = x(rows.timesteps[i]), py = failed ? height - MARGIN.bottom - 6 : y(rows.fitness[i]);
      if (failed) svg.append(node("path", { class: "s-copy", d: `M${px - 4},${py - 4}l8,8m0,-8l-8,8` }));
      points.push([px, py, () => tipOf(i)]);
    }
    (rounds.report || []).forEach((value, i) => {
      if (!isKnown(value)) return;
      svg.append(node("path", { class: "f-winner", d: `M${at[i]},${y(value) - 5}l5,5l-5,5l-5,-5Z` }));
      points.push([at[i], y(value), () => tip(`saved best after round ${rounds.round[i]}`, [["mean on fresh episodes", told(value)]])]);
    });
    axes(svg, width, height, x, y, STEPS, `fitness (mean ${data.label}${data.minimise ? ", smaller is better" : ""})`);
    return points;
  });
  const entries = [["s-member", "members"], [node("rect", { class: "s-band", width: 24, height: 12 }), "25–75 %"], ["s-median", "median"], ["s-best", "best"], ["s-winner", "winner's lineage"]];
  if ((rounds.report || []).some(isKnown)) entries.push([node("path", { class: "f-winner", d: "M12,1l5,5l-5,5l-5,-5Z" }), "saved best, fresh episodes"]);
  if (rows.fitness.some((f) => !isKnown(f))) entries.push([node("path", { class: "s-copy", d: "M8,2l8,8m0,-8l-8,8" }), "failed"]);
  if (new Set(rounds.generation).size > 1) entries.push(["s-generation", "next generation"]);
  legend(place, entries);
}

function schedule(place, dim) {
  const values = rows.values[dim.name].map((v) => (typeof v === "boolean" ? Number(v) : v));
  chart(place, 190, (svg, width, height) => {
    const x = scale(extent(rows.timesteps, 0.02), MARGIN.left, width - MARGIN.right);
    const ends = dim.names ? [-0.4, dim.names.length - 0.6] : extent([dim.low, dim.high], dim.log ? 0 : 0.04);
    const y = scale(ends, height - MARGIN.bottom, MARGIN.top, dim.log);
    marks(svg, x, height);
    if (!dim.names) for (const end of [dim.low, dim.high]) svg.append(node("path", { class: "s-range", d: `M${MARGIN.left},${y(end)}H${width - MARGIN.right}` }));
    svg.append(node("path", { class: "s-member", opacity: fade(), d: segments(x, y, values, true) }));
    svg.append(node("path", { class: "s-winner", d: segments(x, y, values, true, wins) }));
    axes(svg, width, height, x, y, STEPS, "", { yNames: dim.names });
    const points = [];
    for (let i = 0; i < count; i++) if (isKnown(values[i])) points.push([x(rows.timesteps[i]), y(values[i]), () => tipOf(i)]);
    return points;
  });
}

function tree(place) {
  const slots = Math.max(...rows.member) + 1;
  const gap = slots > 24 ? 11 : 16;
  chart(place, slots * gap + MARGIN.top + MARGIN.bottom + 8, (svg, width, height) => {
    const x = scale([0, Math.max(lastRound, 1)], MARGIN.left, width - MARGIN.right);
    const y = scale([-0.5, slots - 0.5], MARGIN.top, height - MARGIN.bottom);
    const X = (i) => x(rows.round[i]), Y = (i) => y(rows.member[i]);
    let own = "", copies = "", mixed = "", path = "";
    const inherited = new Set();
    for (let i = 0; i < count; i++) {
      const p = rows.parent[i];
      if (p < 0) continue;
      inherited.add(p);
      const d = `M${X(p).toFixed(1)},${Y(p).toFixed(1)}L${X(i).toFixed(1)},${Y(i).toFixed(1)}`;
      if (rows.member[p] === rows.member[i]) own += d; else copies += d;
      if (won.has(i) && won.has(p)) path += d;
    }
    for (const [i, p] of data.others) mixed += `M${X(p)},${Y(p)}L${X(i)},${Y(i)}`;
    rounds.generation.forEach((generation, i) => {
      if (i && generation !== rounds.generation[i - 1])
        svg.append(node("path", { class: "s-generation", d: `M${x(rounds.round[i] - 0.5)},${MARGIN.top}V${height - MARGIN.bottom}` }));
    });
    svg.append(node("path", { class: "s-member", d: own }));
    svg.append(node("path", { class: "s-copy", d: copies, opacity: slots > 24 ? 0.55 : 0.9 }));
    svg.append(node("path", { class: "s-mixed", d: mixed }));
    svg.append(node("path", { class: "s-winner", d: path }));
    const points = [];
    const r = slots > 24 || lastRound > 80 ? 1.6 : 2.6;
    let ended = "", alive = "", fresh = "", failed = "";
    const circle = (i, size) => `M${X(i) - size},${Y(i)}a${size},${size} 0 1 0 ${2 * size},0a${size},${size} 0 1 0 ${-2 * size},0`;
    for (let i = 0; i < count; i++) {
      const dies = !inherited.has(i) && rows.round[i] < lastRound;
      if (!isKnown(rows.fitness[i])) failed += `M${X(i) - 3},${Y(i) - 3}l6,6m0,-6l-6,6`;
      else if (dies) ended += circle(i, r); else if (rows.round[i] === lastRound || rows.round[i] === 0) alive += circle(i, r);
      if (rows.parent[i] < 0 && rows.round[i] > 0) fresh += circle(i, r + 1.5);
      points.push([X(i), Y(i), () => tipOf(i)]);
    }
    svg.append(node("path", { class: "f-member", d: alive }), node("path", { class: "f-hollow", d: ended }));
    svg.append(node("path", { class: "s-best", d: fresh }), node("path", { class: "s-copy", d: failed }));
    const named = Array.from({ length: slots }, (_, i) => (slots > 24 && i % 4 ? "" : String(i)));
    axes(svg, width, height, x, y, "round", "member", { yNames: named });
    return points;
  });
  const entries = [["s-member", "went on"], ["s-copy", "weights were copied"], ["s-winner", "winner's lineage"], [dot("f-hollow"), "ended: replaced after the round"]];
  if (data.others.length) entries.push(["s-mixed", "a block of another parent"]);
  if (rows.parent.some((p, i) => p < 0 && rows.round[i] > 0)) entries.push([dot("s-best", 4), "fresh weights"]);
  if (rows.fitness.some((f) => !isKnown(f))) entries.push([node("path", { class: "s-copy", d: "M8,2l8,8m0,-8l-8,8" }), "failed"]);
  legend(place, entries);
}

function gained(place, dim) {
  chart(place, 190, (svg, width, height) => {
    const ends = dim.names ? [-0.5, dim.names.length - 0.5] : extent([dim.low, dim.high], dim.log ? 0 : 0.04);
    const x = scale(ends, MARGIN.left, width - MARGIN.right, dim.log);
    const y = scale([-3.2, 3.2], height - MARGIN.bottom, MARGIN.top);
    svg.append(node("path", { class: "s-range", d: `M${MARGIN.left},${y(0)}H${width - MARGIN.right}` }));
    const points = [], values = rows.values[dim.name];
    let cloud = "";
    for (let i = 0; i < count; i++) {
      const v = Number(values[i]), g = data.gains[i];
      if (!isKnown(v) || !isKnown(g)) continue;
      const px = x(v), py = y(Math.min(Math.max(g, -3.2), 3.2));
      cloud += `M${(px - 2).toFixed(1)},${py.toFixed(1)}a2,2 0 1 0 4,0a2,2 0 1 0 -4,0`;
      points.push([px, py, () => tipOf(i)]);
    }
    svg.append(node("path", { class: "f-member", opacity: Math.max(0.15, fade()), d: cloud }));
    axes(svg, width, height, x, y, dim.names ? "" : dim.log ? "value, logarithmic" : "value", "gain, sd of the round", { xNames: dim.names });
    return points;
  });
}

function bandit(place, found) {
  const longest = Math.max(...found.names.map((n) => n.length));
  chart(place, found.names.length * 24 + 50, (svg, width, height) => {
    const left = Math.min(longest * 6.6 + 12, width * 0.45);
    const x = scale([0, Math.max(...found.high) * 1.08], left, width - MARGIN.right);
    const order = found.names.map((_, i) => i).sort((a, b) => found.share[b] - found.share[a]);
    const base = height - MARGIN.bottom, points = [];
    const equal = x(1 / found.names.length);
    svg.append(node("path", { class: "s-generation", d: `M${equal},${MARGIN.top}V${base}` }));
    order.forEach((i, place) => {
      const y = MARGIN.top + 12 + place * 24;
      svg.append(node("text", { class: "name", x: left - 8, y: y + 4, "text-anchor": "end" }, cut(found.names[i], Math.floor((left - 8) / 6.4))));
      svg.append(node("path", { class: "s-best", d: `M${x(found.low[i])},${y}H${x(found.high[i])}` }));
      svg.append(node("circle", { class: "f-best", cx: x(found.share[i]), cy: y, r: 5 }));
      points.push([x(found.share[i]), y, () => tip(found.names[i], [["share", told(found.share[i])], ["nine tenths of the fits", `${told(found.low[i])} to ${told(found.high[i])}`]])]);
    });
    svg.append(node("path", { class: "axis", d: `M${left},${base}H${width - MARGIN.right}` }));
    for (const value of x.ticks(Math.max(2, Math.floor(width / 120)))) svg.append(node("text", { x: x(value), y: base + 16, "text-anchor": "middle" }, `${Math.round(value * 100)} %`));
    svg.append(node("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, "share of the inverse lengthscales"));
    return points;
  });
  legend(place, [["s-best", "nine tenths of the fits"], ["s-generation", "all matter alike"]]);
}

function overRounds(place, values, label, words) {
  chart(place, 190, (svg, width, height) => {
    const x = scale(extent(rounds.timesteps, 0.02), MARGIN.left, width - MARGIN.right);
    const y = scale(extent([0, ...values]), height - MARGIN.bottom, MARGIN.top);
    marks(svg, x, height);
    const at = rounds.timesteps.map(x);
    svg.append(node("path", { class: "s-median", d: line(at, values.map((v) => (isKnown(v) ? y(v) : null))) }));
    axes(svg, width, height, x, y, STEPS, label);
    return values.map((v, i) => [at[i], isKnown(v) ? y(v) : -99, () => tip(`round ${rounds.round[i]}`, [[words, told(v)]])]);
  });
}

function panels(id, dims, draw) {
  const place = document.getElementById(id);
  if (!place) return;
  for (const dim of dims) {
    const figure = document.createElement("figure");
    figure.style.margin = 0;
    const title = document.createElement("h3");
    title.textContent = dim.name;
    figure.append(title);
    place.append(figure);
    draw(figure, dim);
  }
}

const at = (id) => document.getElementById(id);
learningCurve(at("curve"));
tree(at("tree"));
panels("schedules", dimensions.filter((d) => d.group === "hyperparameter"), schedule);
panels("architectures", dimensions.filter((d) => d.group !== "hyperparameter"), schedule);
panels("gains", dimensions, gained);
if (data.bandit) bandit(at("importance"), data.bandit);
if (at("region")) overRounds(at("region"), rounds.trust_region, "edge in the unit cube", "edge of the region");
overRounds(at("seconds"), rounds.seconds, "seconds of the round", "seconds");
document.body.dataset.drawn = "yes";
