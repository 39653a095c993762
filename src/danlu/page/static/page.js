// The page: controls from the server's catalogue, one request per change, the newest answer wins.
const frozen = window.DANLU; // an exported file brings its paths with it
const token = document.body.dataset.token;
const me = Math.random().toString(36).slice(2); // so that two open pages do not end each other's computations
const el = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (tag, set = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), set);
  node.append(...children);
  return node;
};
const short = (x) => (x === null || x === undefined ? "—" : Number(x.toPrecision(3)).toString());
const brief = (text) => (text.length > 48 && innerWidth < 820 ? `${text.slice(0, 30)}…` : text);
const SIDES = ["a", "b"];
const NAMES = { a: "A", b: "B" };
const DASH = { a: "solid", b: "dash" }; // told apart without colour too

let things; // the catalogue
let setup = { surface: { name: "rosenbrock" }, start: null, a: { preset: "adam", lr: 0.1, options: {}, pieces: [] }, b: { preset: "sgd_velocity", lr: 0.0005, options: {}, pieces: [] }, steps: 300, seed: 0, noise: null, schedule: { name: "constant", warmup: "0" } };
let answer = null;
let maps = null;
let shown = Infinity; // the update under the cursor
let timer = null;

// ---- set-up ↔ text -----------------------------------------------------------------------------------------------------

const literal = (x) => (x === true ? "True" : x === false ? "False" : Array.isArray(x) ? `(${x.join(", ")})` : `${x}`);
function composition(side) {
  const given = Object.entries(side.options).map(([key, x]) => `${key}=${literal(x)}`);
  return [side.preset + (given.length ? `(${given.join(", ")})` : ""), ...side.pieces].join("+");
}
function wish(grid) {
  const sides = SIDES.filter((s) => setup[s].preset).map((s) => ({ rule: composition(setup[s]), lr: setup[s].lr }));
  const found = { sides, surface: setup.surface, steps: setup.steps, seed: setup.seed, noise: setup.noise, schedule: setup.schedule };
  if (setup.start) found.start = setup.start;
  if (grid) found.grid = grid;
  return found;
}
function python() {
  const args = (table) => Object.entries(table).filter(([key]) => key !== "name").map(([key, x]) => `, ${key}=${JSON.stringify(x)}`).join("");
  const start = setup.start || answer.surface.start;
  const noise = setup.noise ? `surface.${{ gaussian: "Gaussian", heavy_tailed: "HeavyTailed", sparse: "Sparse" }[setup.noise.name]}(${args(setup.noise).slice(2)})` : "None";
  const lines = ["from danlu import schedule, surface", "from danlu.optim.compose import compose", ""];
  for (const s of SIDES.filter((s) => setup[s].preset)) {
    lines.push(`named = compose(${JSON.stringify(composition(setup[s]))})`, `${s} = surface.trace(`, "    named.build(named.options),",
      `    surface.create(${JSON.stringify(setup.surface.name)}${args(setup.surface)}),`, `    (${start.join(", ")}),`, `    lr=${setup[s].lr},`,
      `    steps=${setup.steps},`, `    seed=${setup.seed},`, `    noise=${noise},`, `    schedule=schedule.create(${JSON.stringify(setup.schedule.name)}${args(setup.schedule)}),`, ")",
      `print(${s}.points[0, 0, -1], ${s}.loss[0, 0, -1])`);
  }
  return lines.join("\n") + "\n";
}

// ---- talking to the server ---------------------------------------------------------------------------------------------

const waiting = {};
async function ask(what, body) {
  waiting[what]?.abort();
  const control = (waiting[what] = new AbortController());
  const reply = await fetch(`api/${what}`, { method: body ? "POST" : "GET", headers: { "X-Token": token, "X-Page": me }, body: body && JSON.stringify(body), signal: control.signal });
  if (!reply.ok) throw Object.assign(new Error(await reply.text()), { status: reply.status });
  return reply.json();
}
function frozenAnswer() {
  const sides = SIDES.filter((s) => setup[s].preset).map((s) => {
    const all = frozen.runs[setup.surface.name][setup[s].preset];
    return all.reduce((best, run) => (Math.abs(Math.log(run.lr / setup[s].lr)) < Math.abs(Math.log(best.lr / setup[s].lr)) ? run : best));
  });
  return { surface: frozen.pictures[setup.surface.name], sides };
}
let mapSoon = null;
let slow = null;
let charts = null;
let held = false; // the start is being dragged
const plotly = window.Plotly ? null : new Promise((done) => { el("plotly").addEventListener("load", done); });
async function refresh() {
  history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(setup))}`); // no entry of its own: Back leaves the page
  document.body.classList.add("outdated"); // the maps, until theirs come
  waiting.map?.abort();
  clearTimeout(slow);
  slow = setTimeout(() => say("computing …"), 500);
  try {
    answer = frozen ? frozenAnswer() : await ask("run", wish());
  } catch (error) {
    if (error.name === "AbortError" || error.status === 409) return; // a newer one is on its way
    clearTimeout(slow);
    say(error.message, true);
    return;
  }
  clearTimeout(slow);
  await plotly;
  say(answer.sides.map((side) => side.warning && `${side.rule}: ${side.warning}`).filter(Boolean).join(" · "));
  if (!frozen) [el("x").value, el("y").value] = setup.start || answer.surface.start;
  const last = answer.sides.length ? answer.sides[0].updates.at(-1) : 0;
  const wasEnd = shown >= Number(el("time").max);
  el("time").max = last;
  if (wasEnd || shown > last) shown = last;
  draw();
  clearTimeout(mapSoon);
  if (!frozen) mapSoon = setTimeout(refreshMaps, 350);
}
async function refreshMaps() {
  try {
    maps = await ask("map", wish(20));
    document.body.classList.remove("outdated");
    drawMaps();
    words();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 409) say(error.message, true);
  }
}
function say(text, wrong = false) {
  el("status").textContent = text;
  el("status").className = wrong ? "wrong" : "";
}

// ---- drawing -----------------------------------------------------------------------------------------------------------

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const config = { displayModeBar: false, responsive: true };
function layout(more = {}) {
  const axis = { gridcolor: css("--line"), zeroline: false, linecolor: css("--line"), automargin: true };
  return { margin: { l: 46, r: 10, t: 6, b: 30 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), size: 12 }, showlegend: false, dragmode: false, ...more, xaxis: { ...axis, fixedrange: true, ...more.xaxis }, yaxis: { ...axis, fixedrange: true, ...more.yaxis } };
}
const active = () => SIDES.filter((s) => setup[s].preset);
const upTo = (list, side) => list.slice(0, side.updates.findLastIndex((k) => k <= shown) + 1);
function draw() { // the charts a little later: a picture that is dragged must not wait for them
  drawPlane();
  drawPath();
  words();
  clearTimeout(charts);
  charts = setTimeout(() => { drawTimes(); drawCursor(); }, held ? 150 : 0);
}
function drawPlane() {
  const { surface } = answer;
  const [left, right, bottom, top] = surface.domain;
  const soft = 1e-4 * Math.max(...surface.z.flat()); // contours by decades, without islands where the grid is too coarse for them
  const z = surface.z.map((row) => row.map((f) => Math.log10(f + soft)));
  const traces = [{ type: "contour", x: surface.x, y: surface.y, z, ncontours: 22, showscale: false, hoverinfo: "skip", line: { width: 0.6, color: dark() ? "#6d7782" : "#8d949b" }, colorscale: dark() ? [[0, "#0f3c4c"], [1, "#22262a"]] : [[0, "#bfdcd6"], [1, "#faf8f4"]] }];
  traces.push({ x: surface.minima.map((p) => p[0]), y: surface.minima.map((p) => p[1]), mode: "markers", marker: { symbol: "star", size: 11, color: css("--ink") }, name: "minimum", hoverinfo: "name" });
  answer.sides.forEach((side, i) => {
    const s = active()[i];
    const colour = css(`--${s}`);
    traces.push({ x: side.x, y: side.y, mode: "lines", line: { color: colour, width: 1 }, opacity: 0.35, hoverinfo: "skip", showlegend: false });
    traces.push({ x: [], y: [], mode: "lines+markers", line: { color: colour, width: 2.2, dash: DASH[s] }, marker: { size: 3.5, color: colour, maxdisplayed: 100 }, name: `${NAMES[s]} ${brief(side.rule)}, lr ${short(side.lr)}`, hovertemplate: "(%{x:.3g}, %{y:.3g})" });
    traces.push({ x: [], y: [], mode: "markers", marker: { size: 12, color: colour, symbol: s === "a" ? "circle" : "diamond", line: { width: 2, color: css("--card") } }, hoverinfo: "skip", showlegend: false });
    if (side.average) traces.push({ x: side.average.x, y: side.average.y, mode: "lines", line: { color: colour, width: 1.4, dash: "dot" }, name: `${NAMES[s]} average`, hoverinfo: "name" });
  });
  const start = setup.start || surface.start;
  traces.push({ x: [start[0]], y: [start[1]], mode: "markers", marker: { size: 13, symbol: "circle-open", color: css("--ink"), line: { width: 2.5 } }, name: "start", hoverinfo: "name" });
  const box = { showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" }, margin: { l: 40, r: 10, t: 8, b: 28 } };
  Plotly.react("plane", traces, layout({ ...box, xaxis: { range: [left, right] }, yaxis: { range: [bottom, top] } }), config);
}
function drawNow() {
  drawPath();
  drawCursor();
}
function drawPath() {
  let at = 2;
  answer.sides.forEach((side) => {
    const x = upTo(side.x, side);
    const y = upTo(side.y, side);
    Plotly.restyle("plane", { x: [x], y: [y] }, [at + 1]);
    Plotly.restyle("plane", { x: [x.slice(-1)], y: [y.slice(-1)] }, [at + 2]);
    at += side.average ? 4 : 3;
  });
  el("time").value = shown;
  el("now").textContent = `update ${shown}`;
}
function drawCursor() {
  for (const id of ["loss", "grad", "step", "rate", "state"]) {
    if (el(id).data) Plotly.relayout(id, { shapes: [{ type: "line", x0: shown, x1: shown, yref: "paper", y0: 0, y1: 1, line: { color: css("--soft"), width: 1 } }] });
  }
}
function lines(id, pick, extra = []) {
  const traces = answer.sides.map((side, i) => {
    const y = pick(side);
    return { x: side.updates.slice(-y.length), y, mode: "lines", line: { color: css(`--${active()[i]}`), dash: DASH[active()[i]], width: 1.8 }, name: NAMES[active()[i]] };
  });
  const all = [...traces, ...extra];
  Plotly.react(id, all, layout({ yaxis: decades(all.flatMap((t) => t.y)) }), config);
}
// A logarithmic axis: whole decades where there are some, else what Plotly finds.
function decades(values) {
  const logs = values.filter((x) => x > 0).map(Math.log10);
  const wide = logs.length ? Math.max(...logs) - Math.min(...logs) : 0;
  return { type: "log", exponentformat: "power", ...(wide > 1.3 ? { dtick: Math.ceil(wide / 6) } : {}) };
}
function drawTimes() {
  const least = Math.min(...answer.sides.flatMap((side) => side.above).filter((f) => f !== null));
  const floor = least > 0 ? 0 : 1e-16;
  lines("loss", (side) => side.above.map((f) => (f === null ? null : Math.max(f, floor))));
  lines("grad", (side) => side.grad_norm);
  lines("step", (side) => side.step);
  const rates = answer.sides.map((side, i) => ({ x: side.updates, y: side.rate, mode: "lines", line: { color: css(`--${active()[i]}`), dash: "dot", width: 1.2 }, name: `${NAMES[active()[i]]} lr` }));
  lines("rate", (side) => side.effective, rates);
  const states = answer.sides.flatMap((side, i) => Object.entries(side.state).map(([slot, y], n) => {
    const line = { color: css(`--${active()[i]}`), dash: i ? ["dash", "longdashdot", "longdash"][n % 3] : ["solid", "dot", "dashdot"][n % 3], width: 1.6 };
    return { x: side.updates, y, mode: "lines", line, name: `${NAMES[active()[i]]} ${slot}` };
  }));
  const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 10 }, bgcolor: "rgba(0,0,0,0)" };
  Plotly.react("state", states, layout({ showlegend: states.length < 7, legend, yaxis: decades(states.flatMap((t) => t.y)) }), config);
}
function drawMaps() {
  const curves = maps.sides.map((side, i) => {
    const s = active()[i];
    return { x: side.curve.lr, y: side.curve.loss, mode: "lines+markers", marker: { size: 5, symbol: s === "a" ? "circle" : "diamond" }, line: { color: css(`--${s}`), dash: DASH[s] }, name: NAMES[s] };
  });
  const marks = active().map((s) => ({ type: "line", x0: setup[s].lr, x1: setup[s].lr, yref: "paper", y0: 0, y1: 1, line: { color: css(`--${s}`), width: 1, dash: "dot" } }));
  Plotly.react("curve", curves, layout({ shapes: marks, xaxis: { type: "log", exponentformat: "power", dtick: 2, tickangle: 0 }, yaxis: decades(maps.sides.flatMap((side) => side.curve.loss)) }), config);
  for (const s of SIDES) {
    const side = maps.sides[active().indexOf(s)];
    el(`map-${s}`).parentElement.style.display = side ? "" : "none";
    if (!side) continue;
    const z = side.map.loss.map((row) => row.map((f) => (f === null ? null : Math.log10(Math.max(f, 1e-8)))));
    const bar = { thickness: 8, tickfont: { size: 10 }, tickprefix: "1e", outlinewidth: 0 };
    Plotly.react(`map-${s}`, [{ type: "heatmap", x: side.map.x, y: side.map.y, z, colorscale: "Cividis", reversescale: true, colorbar: bar, hovertemplate: "(%{x:.2g}, %{y:.2g}): 1e%{z:.1f}<extra></extra>" }], layout({ margin: { l: 32, r: 4, t: 6, b: 24 } }), config);
  }
}
function words() {
  el("words").replaceChildren(...answer.sides.map((side, i) => {
    const range = maps?.sides[i]?.rule === side.rule ? maps.sides[i].range : null;
    const cells = [NAMES[active()[i]], `${side.rule}, lr ${short(side.lr)}`, short(side.bytes), side.verdict, frozen ? "—" : !range ? "…" : range[0] === range[1] ? `lr ${short(range[0])} alone` : `lr ${short(range[0])} to ${short(range[1])}`];
    return make("tr", {}, ...cells.map((text, j) => make(j ? "td" : "th", { textContent: text })));
  }));
  const open = [...el("laws").querySelectorAll("details")].map((d) => d.open);
  el("laws").replaceChildren(...answer.sides.map((side, i) => make("details", { open: open[i] ?? true },
    make("summary", { textContent: `${NAMES[active()[i]]}: ${side.summary}` }), make("pre", { textContent: `${side.composition}\n\nsource: ${side.source}` }))));
}

// ---- controls ----------------------------------------------------------------------------------------------------------

// A slider's position in [0, 1] ↔ the value: near 1 for betas, by decades where there is no upper end, linear otherwise.
function scale(option, normal) {
  const { lo, hi } = option;
  if (lo === 0 && hi === 1 && !option.whole) return { to: (t) => (t <= 0 ? 0 : Number((1 - 10 ** (-4 * t)).toPrecision(5))), from: (x) => Math.min(1, -Math.log10(Math.max(1 - x, 1e-4)) / 4) };
  if (lo !== null && hi !== null && !(lo > 0 && hi / lo > 1000)) return { to: (t) => snap(lo + t * (hi - lo)), from: (x) => (x - lo) / (hi - lo) };
  const middle = Math.abs(normal) > 0 ? Math.abs(normal) : 0.03;
  const [bottom, top] = [Math.max(lo ?? 0, middle / 1000), Math.min(hi ?? Infinity, middle * 1000)];
  const ends = Math.log(top / bottom);
  const zero = (lo === null || lo === 0) && !option.strict; // the left end is 0 itself
  return { to: (t) => (zero && t <= 0.001 ? 0 : Number((bottom * Math.exp(t * ends)).toPrecision(3))), from: (x) => (x <= 0 ? 0 : Math.min(1, Math.max(0, Math.log(x / bottom) / ends))) };
  function snap(x) { return option.whole ? Math.round(x) : Number(x.toPrecision(3)); }
}
function slider(text, option, normal, value, changed) {
  const { to, from } = scale(option, normal);
  const out = make("output", { textContent: short(value) });
  const input = make("input", { type: "range", min: 0, max: 1, step: 0.002, value: from(value), title: text });
  input.addEventListener("input", () => {
    const x = option.whole ? Math.round(to(Number(input.value))) : to(Number(input.value));
    out.textContent = short(x);
    input.setAttribute("aria-valuetext", short(x));
    changed(x);
  });
  return make("label", { className: "slider" }, text, input, out);
}
function optionControls(options, store, changed) {
  const rows = [];
  for (const option of options) {
    const value = store[option.name] ?? option.default;
    const set = (x) => { store[option.name] = x; changed(); };
    if (option.kind === "flag") {
      const box = make("input", { type: "checkbox", checked: value });
      box.addEventListener("change", () => set(box.checked));
      rows.push(make("label", {}, option.name, box));
    } else if (option.kind === "numbers") {
      option.parts.forEach((part, i) => rows.push(slider(`${option.name}[${i}]`, part, option.default[i], value[i], (x) => {
        set((store[option.name] ?? option.default).map((old, j) => (j === i ? x : old)));
      })));
    } else rows.push(slider(option.name, option, option.default, value, set));
  }
  return rows;
}
function choices(select, names, value, none) {
  select.replaceChildren(...(none ? [make("option", { value: "", textContent: none })] : []), ...names.map((name) => make("option", { value: name, textContent: name })));
  select.value = value;
}
function sideControls(s) {
  const side = setup[s];
  const box = el(`side-${s}`);
  const select = make("select", { id: `preset-${s}` });
  choices(select, frozen ? Object.keys(frozen.runs[setup.surface.name]) : things.presets.map((p) => p.name), side.preset, s === "b" ? "none" : undefined);
  select.addEventListener("change", () => {
    const found = things?.presets.find((p) => p.name === select.value);
    Object.assign(side, { preset: select.value, options: {}, pieces: [], lr: frozen || !found ? side.lr : found.lr });
    sideControls(s);
    refresh();
  });
  const rows = [make("label", {}, "Rule", select)];
  if (side.preset) {
    if (frozen) {
      const lr = make("select", { id: `lr-${s}` });
      choices(lr, frozen.lrs.map(String), String(side.lr));
      lr.addEventListener("change", () => { side.lr = Number(lr.value); refresh(); });
      rows.push(make("label", {}, "lr", lr));
    } else {
      const found = things.presets.find((p) => p.name === side.preset);
      const row = slider("lr", { lo: 0, hi: null, strict: true }, 0.03, side.lr, (x) => { side.lr = x; refresh(); });
      row.querySelector("input").id = `lr-${s}`;
      const more = make("details", { open: box.querySelector("details")?.open ?? false }, make("summary", { textContent: "hyper-parameters" }), ...optionControls(found.options, side.options, refresh));
      const pieces = make("select", { id: `piece-${s}`, title: "add a piece to the rule" });
      choices(pieces, things.pieces.map((p) => p.name), "", "add a piece …");
      pieces.addEventListener("change", () => {
        const { name, needs } = things.pieces.find((p) => p.name === pieces.value);
        side.pieces.push(needs.length ? `${name}(${needs.map((n) => `${n}=0.1`).join(", ")})` : name);
        sideControls(s);
        refresh();
      });
      const chips = side.pieces.map((piece, i) => {
        const text = make("input", { type: "text", value: piece });
        text.setAttribute("aria-label", "piece with its options; empty to remove");
        text.addEventListener("change", () => {
          side.pieces = side.pieces.map((old, j) => (j === i ? text.value.trim() : old)).filter(Boolean);
          sideControls(s);
          refresh();
        });
        const gone = make("button", { type: "button", textContent: "×", title: `remove ${piece}` });
        gone.setAttribute("aria-label", `remove ${piece}`);
        gone.addEventListener("click", () => { side.pieces.splice(i, 1); sideControls(s); refresh(); });
        return make("div", { className: "chip" }, text, gone);
      });
      rows.push(make("p", { className: "law", textContent: found.law }), row, more, ...chips, make("label", {}, "Compose", pieces));
    }
  }
  box.replaceChildren(make("legend", { textContent: NAMES[s] }), ...rows);
}
function surfaceControls() {
  const names = frozen ? Object.keys(frozen.runs) : things.surfaces.map((x) => x.name);
  choices(el("surface"), names, setup.surface.name);
  const found = things?.surfaces.find((x) => x.name === setup.surface.name);
  el("surface-law").textContent = found ? found.law : frozen.pictures[setup.surface.name].formula;
  el("surface-options").replaceChildren(...(found ? optionControls(found.options, setup.surface, refresh) : []));
}
function noiseControls() {
  choices(el("noise"), things.noises.map((x) => x.name), setup.noise?.name ?? "", "none");
  const found = things.noises.find((x) => x.name === setup.noise?.name);
  el("noise-options").replaceChildren(...(found ? optionControls(found.options, setup.noise, refresh) : []));
}
function allControls() {
  surfaceControls();
  SIDES.forEach(sideControls);
  if (frozen) return;
  noiseControls();
  choices(el("schedule"), things.schedules.map((x) => x.name), setup.schedule.name);
  for (const id of ["steps", "seed"]) el(id).value = setup[id];
  el("warmup").value = setup.schedule.warmup;
}
function moveStart(point) {
  setup.start = point;
  refresh();
}
function wire() {
  el("controls").addEventListener("submit", (event) => event.preventDefault());
  el("surface").addEventListener("change", () => {
    setup.surface = { name: el("surface").value };
    setup.start = null;
    surfaceControls();
    refresh();
  });
  el("noise").addEventListener("change", () => {
    setup.noise = el("noise").value ? { name: el("noise").value } : null;
    noiseControls();
    refresh();
  });
  el("schedule").addEventListener("change", () => { setup.schedule.name = el("schedule").value; refresh(); });
  el("warmup").addEventListener("change", () => { setup.schedule.warmup = el("warmup").value.trim() || "0"; refresh(); });
  for (const id of ["steps", "seed"]) el(id).addEventListener("change", () => { setup[id] = Number(el(id).value); refresh(); });
  for (const id of ["x", "y"]) el(id).addEventListener("change", () => {
    const start = setup.start || answer.surface.start;
    moveStart([el("x").value === "" ? start[0] : Number(el("x").value), el("y").value === "" ? start[1] : Number(el("y").value)]);
  });
  el("time").addEventListener("input", () => { shown = Number(el("time").value); drawNow(); });
  el("back").addEventListener("click", () => go(-1));
  el("forth").addEventListener("click", () => go(1));
  el("play").addEventListener("click", play);
  el("copy").addEventListener("click", () => copy(python(), "Python"));
  el("picture").addEventListener("click", () => Plotly.downloadImage("plane", { format: "svg", filename: "trajectories", width: 900, height: 640 }));
  el("link").addEventListener("click", () => copy(location.href, "link (its token is valid while this server runs)"));
  document.addEventListener("keydown", (event) => {
    if (/^(INPUT|SELECT|BUTTON|SUMMARY|TEXTAREA)$/.test(event.target.tagName)) return;
    const done = { " ": play, ArrowLeft: () => go(-1), ArrowRight: () => go(1), r: () => !frozen && moveStart(null) }[event.key];
    if (done) { event.preventDefault(); done(); }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); if (maps) drawMaps(); });
  if (!frozen) wireDragging();
}
function wireDragging() {
  const plane = el("plane");
  const at = (event) => {
    const { xaxis, yaxis } = plane._fullLayout;
    const box = plane.getBoundingClientRect();
    const point = [xaxis.p2d(event.clientX - box.left - xaxis._offset), yaxis.p2d(event.clientY - box.top - yaxis._offset)];
    const inside = point[0] >= xaxis.range[0] && point[0] <= xaxis.range[1] && point[1] >= yaxis.range[0] && point[1] <= yaxis.range[1];
    return inside ? point.map((x) => Number(x.toPrecision(4))) : null;
  };
  let queued = null;
  plane.addEventListener("pointerdown", (event) => { const p = at(event); held = Boolean(p); if (p) moveStart(p); });
  addEventListener("pointermove", (event) => {
    if (!held || queued) return;
    queued = requestAnimationFrame(() => { queued = null; const p = at(event); if (p) moveStart(p); });
  });
  addEventListener("pointerup", () => { held = false; });
  addEventListener("pointercancel", () => { held = false; });
}
function go(by) {
  shown = Math.min(Number(el("time").max), Math.max(0, shown + by * Math.max(1, answer.sides[0].updates[1])));
  drawNow();
}
function play() {
  const stop = () => { cancelAnimationFrame(timer); timer = null; el("play").textContent = "Play"; };
  if (timer) return stop();
  const last = Number(el("time").max);
  if (shown >= last) shown = 0;
  el("play").textContent = "Pause";
  const began = performance.now() - (6000 * shown) / last; // six seconds for the whole run
  const frame = (now) => {
    shown = Math.min(last, Math.max(0, Math.round((last * (now - began)) / 6000)));
    drawNow();
    if (shown >= last) stop();
    else timer = requestAnimationFrame(frame);
  };
  timer = requestAnimationFrame(frame);
}
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`copied: ${what}`);
  } catch {
    say(text);
  }
}

async function begin() {
  document.body.classList.toggle("static", Boolean(frozen));
  if (frozen) setup = { ...setup, surface: { name: Object.keys(frozen.runs)[0] }, a: { ...setup.a, lr: 0.1 }, b: { ...setup.b, lr: 0.01 }, steps: frozen.steps };
  try {
    const saved = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    setup = { ...setup, ...saved };
  } catch { /* no set-up in the address, or a broken one: begin anew */ }
  if (!frozen) things = await ask("catalogue");
  allControls();
  wire();
  await refresh();
  document.body.dataset.ready = "yes";
}
begin().catch((error) => say(error.message, true));
