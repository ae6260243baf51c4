"use strict";
// The charts of several runs. `data` is what `comparison.py` says.

const data = JSON.parse(document.getElementById("data").textContent);
// Okabe and Ito's colours, told apart with any colour vision; dashes tell the rest.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a9097"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

function look(i) {
  return { stroke: COLOURS[i % COLOURS.length], "stroke-dasharray": DASHES[Math.floor(i / COLOURS.length) % DASHES.length], fill: "none" };
}

function scores(place) {
  const longest = Math.max(...data.arms.map((arm) => arm.name.length));
  chart(place, data.arms.length * 34 + 50, (svg, width, height) => {
    const left = Math.min(longest * 6.6 + 14, width * 0.42);
    const all = data.arms.flatMap((arm) => [...arm.scores, arm.low, arm.high]);
    const x = scale(extent(all, 0.06), left, width - MARGIN.right);
    const base = height - MARGIN.bottom, points = [];
    data.arms.forEach((arm, i) => {
      const y = MARGIN.top + 17 + i * 34;
      svg.append(node("text", { class: "name", x: left - 10, y: y + 4, "text-anchor": "end" }, cut(arm.name, Math.floor((left - 10) / 6.4))));
      arm.scores.forEach((score, s) => {
        svg.append(node("path", { ...look(i), opacity: 0.6, d: `M${x(score)},${y - 7}v14` }));
        points.push([x(score), y, () => tip(`${arm.name}, seed ${arm.seeds[s]}`, [["mean on fresh episodes", told(score)]])]);
      });
      if (isKnown(arm.low)) svg.append(node("path", { stroke: COLOURS[i % COLOURS.length], "stroke-width": 3, d: `M${x(arm.low)},${y}H${x(arm.high)}` }));
      svg.append(node("circle", { fill: COLOURS[i % COLOURS.length], cx: x(arm.iqm), cy: y, r: 5.5 }));
    });
    svg.append(node("path", { class: "axis", d: `M${left},${base}H${width - MARGIN.right}` }));
    for (const value of x.ticks(Math.max(2, Math.floor((width - left) / 90)))) svg.append(node("text", { x: x(value), y: base + 16, "text-anchor": "middle" }, short(value)));
    svg.append(node("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, `mean ${data.label}${data.minimise ? ", smaller is better" : ""}`));
    return points;
  });
}

function curves(place) {
  const all = data.arms.flatMap((arm) => arm.curves);
  chart(place, (width) => (width < 600 ? 280 : 380), (svg, width, height) => {
    const x = scale(extent(all.flatMap((c) => c.steps), 0.02), MARGIN.left, width - MARGIN.right);
    const y = scale(extent(all.flatMap((c) => c.best)), height - MARGIN.bottom, MARGIN.top);
    const points = [];
    data.arms.forEach((arm, i) => arm.curves.forEach((curve, s) => {
      const xs = curve.steps.map(x), ys = curve.best.map((v) => (isKnown(v) ? y(v) : null));
      svg.append(node("path", { ...look(i), "stroke-width": 1.5, opacity: 0.8, d: line(xs, ys) }));
      xs.forEach((px, k) => { if (ys[k] !== null) points.push([px, ys[k], () => tip(`${arm.name}, seed ${arm.seeds[s]}`, [["environment steps", short(curve.steps[k])], ["best fitness", told(curve.best[k])]])]); });
    }));
    axes(svg, width, height, x, y, "environment steps of the population", "best fitness of the round");
    return points;
  });
  legend(place, data.arms.map((arm, i) => [node("path", { ...look(i), "stroke-width": 3, d: "M1,6H23" }), arm.name]));
}

scores(document.getElementById("scores"));
curves(document.getElementById("curves"));
document.body.dataset.drawn = "yes";
