// The report's one script: contact sheet, comparison, review. It runs from the disk: it fetches
// nothing, and makes nodes of texts, never markup. It is one file because pages from the disk may not
// import, and its parts share the decisions and what is shown.
(function () {
"use strict";

const fonds = window.fonds, data = fonds.data, sheet = fonds.sheet, words = sheet.words_of;
const count = data.count;
const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value; else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== "") node.append(child);
  return node;
}

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const plural = (number, one, many) => grouped(number) + " " + (number === 1 ? one : many);
const spoken = (word) => word.replace(/_/g, " ");
function size(bytes) {
  let value = Number(bytes), unit = 0;
  while (value >= 1024 && unit < 4) { value /= 1024; unit += 1; }
  return (unit ? value.toFixed(value < 10 ? 1 : 0) : value) + " " + ["bytes", "KiB", "MiB", "GiB", "TiB"][unit];
}
function figure(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return grouped(value).replace("-", "\u2212");
  const digits = Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 4;
  return String(Number(value.toFixed(digits))).replace("-", "\u2212");
}
const picture = (name, ending) => "pictures/" + name.slice(0, 2) + "/" + name + ending;
/** A path of the output as a relative address; what is special in addresses is escaped. */
const address = (path) => data.output + path.split("/").map(encodeURIComponent).join("/");

// ---------------------------------------------------------------- decisions

// One entry for each derivative, or for a picture without any, by object id and derivative.
const storeName = "fonds-review-" + data.key;
const byId = new Map(sheet.id.map((id, index) => [id, index]));
const columns = ["objectid", "filename", "derivative", "sha256", "decision", "note", "reviewer", "date"];
const decisions = new Map();
const verdict = new Uint8Array(count);
const noted = new Uint8Array(count);
const history = [];
let kept = true, unsaved = false;

const keyOf = (id, derivative) => id + "|" + derivative;
for (const row of data.reviews) decisions.set(keyOf(row[0], row[2]), Object.fromEntries(columns.map((name, i) => [name, row[i]])));
try {
  const stored = JSON.parse(localStorage.getItem(storeName) || "{}");
  for (const [key, entry] of Object.entries(stored.entries || {})) decisions.set(key, entry);
  unsaved = Boolean(stored.unsaved);
} catch (error) { kept = false; }
const changed = new Set(kept ? Object.keys((JSON.parse(localStorage.getItem(storeName) || "{}")).entries || {}) : []);

function tallyUp() {
  verdict.fill(0); noted.fill(0);
  for (const entry of decisions.values()) {
    const index = byId.get(entry.objectid);
    if (index === undefined) continue;
    const mark = entry.decision === "reject" ? 2 : entry.decision === "approve" ? 1 : 0;
    verdict[index] = Math.max(verdict[index], mark);
    if (entry.note) noted[index] = 1;
  }
  let approved = 0, rejected = 0;
  for (const mark of verdict) { if (mark === 1) approved += 1; if (mark === 2) rejected += 1; }
  $("tally").textContent = approved + rejected ? `${grouped(approved)} approved, ${grouped(rejected)} rejected` : "";
  $("reviewed").textContent = approved + rejected ? `${grouped(approved + rejected)} of ${grouped(count)}` : "none yet";
  $("save").hidden = decisions.size === 0 || !unsaved && changed.size === 0;
  $("save").textContent = unsaved ? "Save review.csv" : "Save again";
  $("save").classList.toggle("primary", unsaved);
}

function keep() {
  const entries = {};
  for (const key of changed) if (decisions.has(key)) entries[key] = decisions.get(key);
  try { localStorage.setItem(storeName, JSON.stringify({ entries, unsaved })); }
  catch (error) {
    if (kept) toast("This browser keeps nothing for pages from the disk: save review.csv before you close the window.");
    kept = false;
  }
  tallyUp();
}

/** Notes a decision, or another note, about some derivatives of a picture. */
function decide(index, targets, change) {
  const before = targets.map((target) => [target.key, decisions.get(target.key)]);
  if (change.decision !== undefined) history.push({ index, before });
  for (const target of targets) {
    const old = decisions.get(target.key) || {};
    const fresh = !old.sha256 || old.sha256 === target.sha256;
    const entry = {
      objectid: sheet.id[index], filename: sheet.file[index], derivative: target.derivative, sha256: target.sha256,
      decision: change.decision !== undefined ? change.decision : fresh ? old.decision || "" : "",
      note: change.note !== undefined ? change.note : old.note || "",
      reviewer: $("reviewer").value.trim(), date: new Date().toISOString().slice(0, 19) + "Z",
    };
    decisions.set(target.key, entry);
    changed.add(target.key);
  }
  unsaved = true;
  keep();
  refreshCell(index);
}

function undo() {
  const last = history.pop();
  if (!last) return null;
  for (const [key, entry] of last.before) {
    if (entry) decisions.set(key, entry);
    else {
      const now = decisions.get(key);
      decisions.set(key, Object.assign({}, now, { decision: "" }));
    }
    changed.add(key);
  }
  unsaved = true;
  keep();
  refreshCell(last.index);
  return last.index;
}

/** The derivatives of a picture that a decision can be about; without any, the picture itself. */
function targetsOf(index, details) {
  const id = sheet.id[index];
  if (!details.versions.length) return [{ key: keyOf(id, ""), derivative: "", sha256: "" }];
  return details.versions.map((version) => ({ key: keyOf(id, version.made), derivative: version.made, sha256: version.sha256 || "" }));
}

// A spreadsheet program must not run a note as a formula: as `fonds catalog export` does it.
const starts = /^[=+\-@\uff1d\uff0b\uff0d\uff20]/, numbers = /^-?\d+(\.\d+)?(,-?\d+(\.\d+)?)*$/;
function harmless(text) {
  let first = true;
  return text.split(/([;\t\n\r])/).map((part, i, parts) => {
    if (i % 2) return part;
    const bare = part.replace(/^'+/, "");
    const atBreak = first && bare === "" && i + 1 < parts.length && /[\t\n\r]/.test(parts[i + 1]);
    first = false;
    const formula = starts.test(bare) || atBreak;
    return formula && (bare.length < part.length || !numbers.test(part)) ? "'" + part : part;
  }).join("");
}
const quoted = (text) => /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;

/** The whole review as a table: what was read, and what was decided here. */
function table() {
  const rows = [...decisions.values()].filter((entry) => entry.decision || entry.note);
  const order = (a, b) => (byId.get(a.objectid) ?? count) - (byId.get(b.objectid) ?? count) || (a.derivative < b.derivative ? -1 : 1);
  rows.sort(order);
  const line = (cells) => cells.map((cell) => quoted(harmless(String(cell || "")))).join(",");
  return [columns.join(",")].concat(rows.map((entry) => line(columns.map((name) => entry[name])))).join("\n") + "\n";
}

function save() {
  if (!decisions.size) return;
  const link = el("a", { download: "review.csv", href: URL.createObjectURL(new Blob([table()], { type: "text/csv" })) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  unsaved = false;
  keep();
  toast("Saved. Put review.csv into the output folder and run the pipeline again: rejected derivatives are set aside there.");
}

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 7000);
}

// ---------------------------------------------------------------- details

// Parts are scripts that call `fonds.part`; only the last few are held.
const parts = new Map(), waiting = new Map();
fonds.part = (number, list) => { parts.set(number, list); };
function part(number) {
  if (parts.has(number)) {
    const list = parts.get(number);
    parts.delete(number); parts.set(number, list);
    return Promise.resolve(list);
  }
  if (waiting.has(number)) return waiting.get(number);
  const promise = new Promise((resolve, reject) => {
    const script = el("script", { src: "details/" + String(number).padStart(5, "0") + ".js" });
    script.onload = () => {
      script.remove(); waiting.delete(number);
      if (!parts.has(number)) return reject(new Error("details/" + number + " is not what it should be"));
      while (parts.size > 24) parts.delete(parts.keys().next().value);
      resolve(parts.get(number));
    };
    script.onerror = () => { script.remove(); waiting.delete(number); reject(new Error("details/" + number + " cannot be read")); };
    document.head.append(script);
  });
  waiting.set(number, promise);
  return promise;
}
const detailsOf = (index) => part(Math.floor(index / data.part)).then((list) => list[index % data.part]);

// ---------------------------------------------------------------- filters and order

const measures = ["seconds", "ssim", "psnr", "blur", "noise", "clipped", "damaged"];
const orders = [
  ["", "as in the archive"], ["title", "title"], ["date", "date, oldest first"], ["ssim", "changed most first"],
  ["blur", "most blurred first"], ["-noise", "most noise first"], ["-damaged", "most damage first"], ["-clipped", "most clipped first"],
  ["-seconds", "slowest first"], ["-pixels", "largest first"], ["pixels", "smallest first"], ["-bytes", "largest files first"],
];
let filter = {}, shown = new Int32Array(0), selected = 0;
let hay = null;

function haystack() {
  if (hay) return hay;
  hay = new Array(count);
  for (let i = 0; i < count; i += 1) hay[i] = (sheet.id[i] + "\n" + sheet.title[i] + "\n" + sheet.file[i] + "\n" + sheet.words[i] + "\n" + sheet.date[i]).toLowerCase();
  return hay;
}

function sift() {
  const terms = (filter.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const texts = terms.length ? haystack() : null;
  const number = (list, word) => word === undefined || word === "" ? -1 : list.indexOf(word);
  const status = filter.status, statusNumber = number(words.status, status), skipped = words.status.indexOf("skipped");
  const format = number(words.format, filter.format === "unknown" ? "" : filter.format);
  const byFormat = Boolean(filter.format), byCode = Boolean(filter.code), code = number(words.code, filter.code);
  const has = (sets, list, word) => {
    if (!word) return null;
    const wanted = list.indexOf(word);
    return sets.map((set) => set.includes(wanted));
  };
  const flag = has(words.flags, words.flag, filter.flag), operation = has(words.operations, words.operation, filter.operation);
  const ranges = measures.filter((name) => filter[name]).map((name) => {
    const [low, high] = filter[name].split("..").map(Number);
    return [sheet[name], low, high];
  });
  const found = [];
  for (let i = 0; i < count; i += 1) {
    if (status === undefined || status === "") { if (sheet.status[i] === skipped) continue; }
    else if (status !== "all" && sheet.status[i] !== statusNumber) continue;
    if (byFormat && sheet.format[i] !== (filter.format === "unknown" ? words.format.indexOf("") : format)) continue;
    if (byCode && sheet.code[i] !== code) continue;
    if (flag && !flag[sheet.flags[i]]) continue;
    if (operation && !operation[sheet.operations[i]]) continue;
    if (filter.review) {
      const mark = verdict[i];
      if (filter.review === "open" ? mark !== 0 : filter.review === "approved" ? mark !== 1 : filter.review === "rejected" ? mark !== 2 : !noted[i]) continue;
    }
    if (ranges.length && !ranges.every(([values, low, high]) => values[i] !== null && values[i] >= low - 1e-9 && values[i] <= high + 1e-9)) continue;
    if (texts && !terms.every((term) => texts[i].includes(term))) continue;
    found.push(i);
  }
  const by = (filter.sort || "").replace(/^-/, ""), down = (filter.sort || "").startsWith("-") ? -1 : 1;
  if (by === "title" || by === "date") {
    const texts2 = sheet[by];
    const order = new Intl.Collator(undefined, { numeric: true }).compare;
    found.sort((a, b) => (texts2[a] === "") - (texts2[b] === "") || order(texts2[a], texts2[b]) || a - b);
  } else if (by) {
    const value = by === "pixels" ? (i) => sheet.width[i] * sheet.height[i] || null : (i) => sheet[by][i];
    const rank = new Map(found.map((i) => [i, value(i)]));
    found.sort((a, b) => {
      const x = rank.get(a), y = rank.get(b);
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return down * (x - y) || a - b;
    });
  }
  shown = Int32Array.from(found);
}

function option(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => el("option", { value }, text)));
}
function counts(list, column, sets) {
  const numbers = new Array(list.length).fill(0);
  for (let i = 0; i < count; i += 1) {
    if (sets) for (const number of sets[column[i]]) numbers[number] += 1;
    else numbers[column[i]] += 1;
  }
  return list.map((word, i) => [word, numbers[i]]).filter(([, n]) => n).sort((a, b) => b[1] - a[1]);
}
function fillSelects() {
  const listed = (entries, all) => [["", all]].concat(entries.filter(([word]) => word !== "").map(([word, n]) => [word, `${spoken(word)} (${grouped(n)})`]));
  option($("f-status"), [["", "all but skipped"], ["all", "all"]].concat(listed(counts(words.status, sheet.status), "").slice(1)));
  option($("f-operation"), listed(counts(words.operation, sheet.operations, words.operations), "any"));
  option($("f-flag"), listed(counts(words.flag, sheet.flags, words.flags), "any"));
  option($("f-format"), listed(counts(words.format, sheet.format), "any"));
  option($("f-review"), [["", "any"], ["open", "not decided"], ["approved", "approved"], ["rejected", "rejected"], ["noted", "with a note"]]);
  option($("f-sort"), orders);
}
const fields = [["f-text", "text"], ["f-status", "status"], ["f-operation", "operation"], ["f-flag", "flag"], ["f-format", "format"], ["f-review", "review"], ["f-sort", "sort"]];

function showFilter() {
  for (const [id, name] of fields) if ($(id).value !== (filter[name] || "")) $(id).value = filter[name] || "";
  const chips = measures.filter((name) => filter[name]).map((name) => `${name} ${filter[name].replace("..", " to ")}`);
  if (filter.code) chips.push(spoken(filter.code));
  $("chips").replaceChildren(...chips.map((text) => el("span", { class: "chip" }, text)));
  const filtered = Object.entries(filter).some(([name, value]) => value && name !== "sort");
  $("clear").hidden = !filtered;
  $("found").textContent = shown.length === count ? plural(count, "picture", "pictures") : `${grouped(shown.length)} of ${plural(count, "picture", "pictures")}`;
  $("none").hidden = shown.length > 0;
  $("sheet").hidden = shown.length === 0;
}
function filterHash() {
  const query = Object.entries(filter).filter(([, value]) => value).map(([name, value]) => name + "=" + encodeURIComponent(value).replace(/%2F/g, "/")).join("&");
  return "#/pictures" + (query ? "?" + query : "");
}
function refilter(keepPlace) {
  const current = shown[selected];
  sift();
  const place = keepPlace && current !== undefined ? shown.indexOf(current) : -1;
  selected = Math.max(place, 0);
  showFilter();
  layoutSheet();
}
function changeFilter(change) {
  filter = Object.assign({}, filter, change);
  window.history.replaceState(null, "", filterHash());
  $("back").href = filterHash();
  refilter(false);
  window.scrollTo(0, 0);
  renderSheet();
}

// ---------------------------------------------------------------- contact sheet

// Only the cells that can be seen are in the document; those that leave are used again.
const cells = new Map(), spare = [];
let grid = { across: 1, width: 100, height: 100, box: 100, rows: 0 }, lastTop = 0, lateTimer = 0, drawn = false;

function layoutSheet() {
  const width = $("sheet").clientWidth;
  if (!width) return;
  const wanted = Number($("f-size").value) * (width < 600 ? 0.62 : 1), gap = width < 600 ? 6 : 12;
  const across = Math.max(1, Math.floor((width + gap) / (wanted + gap)));
  const cell = Math.floor((width + gap) / across);
  const box = cell - gap;
  grid = { across, step: cell, width: box, box: Math.round((box - 8) * 0.86), rows: Math.ceil(shown.length / across) };
  grid.height = grid.box + 8 + 42 + gap;
  $("cells").style.height = grid.rows * grid.height + "px";
  for (const cellNode of cells.values()) { cellNode.remove(); spare.push(cellNode); }
  cells.clear();
  renderSheet();
}

function makeCell() {
  const node = el("div", { class: "cell", role: "option" },
    el("div", { class: "frame" }, el("img", { alt: "", decoding: "async", draggable: "false" }), el("span", { class: "missing" })),
    el("span", { class: "badge" }),
    el("div", { class: "cap" }, el("span", { class: "t" }), el("span", { class: "m" }, el("span", { class: "dot" }), el("span"))));
  const [frame, badge, cap] = node.children;
  node.parts = { frame, img: frame.children[0], missing: frame.children[1], badge, title: cap.children[0], dot: cap.children[1].children[0], meta: cap.children[1].children[1] };
  node.addEventListener("click", () => { select(node.place); open(shown[node.place]); });
  return node;
}

function fillCell(node, place, late) {
  const index = shown[place], p = node.parts;
  node.place = place;
  node.id = "c" + place;
  node.style.transform = `translate(${(place % grid.across) * grid.step}px, ${Math.floor(place / grid.across) * grid.height}px)`;
  node.style.width = grid.width + "px";
  node.style.height = grid.height - 6 + "px";
  p.frame.style.height = grid.box + "px";
  const status = words.status[sheet.status[index]];
  const title = sheet.title[index] || sheet.file[index];
  p.title.textContent = title;
  node.title = sheet.file[index];
  p.dot.className = "dot fill-" + status;
  p.meta.textContent = meta(index, status);
  node.setAttribute("aria-posinset", place + 1);
  node.setAttribute("aria-setsize", shown.length);
  node.setAttribute("aria-selected", place === selected);
  mark(node, index, title, status);
  const thumb = sheet.thumb[index];
  p.img.hidden = !thumb;
  p.missing.textContent = thumb ? "" : status === "skipped" ? "not looked at" : status === "failed" ? "cannot be shown" : "no picture";
  if (thumb) {
    const shape = Math.min(grid.width / sheet.across[index], grid.box / sheet.down[index], 1.35);
    p.img.style.width = Math.round(sheet.across[index] * shape) + "px";
    p.img.style.height = Math.round(sheet.down[index] * shape) + "px";
  }
  const source = thumb ? picture(thumb, ".jpg") : "";
  node.source = source;
  if (p.img.dataset.source !== source) {
    p.img.removeAttribute("src");
    p.img.dataset.source = "";
    if (!late && source) loadCell(node);
  }
}
/** What a cell says below the title: how it went, what was remarked, else where the file lies. */
function meta(index, status) {
  const flags = words.flags[sheet.flags[index]].map((number) => words.flag[number]).filter((flag) => flag !== "title_from_filename").map(spoken);
  const told = status === "ok" ? "" : status === "failed" || status === "skipped" ? spoken(words.code[sheet.code[index]]) : status;
  const folder = sheet.file[index].split("/").slice(0, -1).join("/");
  const remarks = flags.length > 2 ? flags.slice(0, 2).join(", ") + " +" + (flags.length - 2) : flags.join(", ");
  return [told, sheet.date[index], remarks].filter(Boolean).join(" · ") || folder || words.format[sheet.format[index]].replace("image/", "");
}
function loadCell(node) {
  if (node.source && node.parts.img.dataset.source !== node.source) {
    node.parts.img.dataset.source = node.source;
    node.parts.img.src = node.source;
  }
}
function mark(node, index, title, status) {
  const verdictText = ["", "approved", "rejected"][verdict[index]];
  node.dataset.review = verdict[index];
  node.parts.badge.hidden = !verdictText && !noted[index];
  node.parts.badge.textContent = [verdictText, noted[index] ? "note" : ""].filter(Boolean).join(", ");
  node.setAttribute("aria-label", [title, status, verdictText, noted[index] ? "with a note" : ""].filter(Boolean).join(", "));
}
function refreshCell(index) {
  for (const node of cells.values()) {
    if (shown[node.place] === index) mark(node, index, sheet.title[index] || sheet.file[index], words.status[sheet.status[index]]);
  }
}

function renderSheet() {
  drawn = false;
  if ($("pictures").hidden || !grid.rows) return;
  const top = -$("cells").getBoundingClientRect().top;
  const jump = Math.abs(top - lastTop) > window.innerHeight * 1.5;
  lastTop = top;
  const first = Math.max(0, Math.floor((top - 200) / grid.height)) * grid.across;
  const last = Math.min(shown.length, (Math.floor((top + window.innerHeight + 200) / grid.height) + 1) * grid.across);
  for (const [place, node] of cells) {
    if (place < first || place >= last) { cells.delete(place); spare.push(node); }
  }
  const fresh = [];
  for (let place = first; place < last; place += 1) {
    if (cells.has(place)) continue;
    const node = spare.pop() || makeCell();
    fillCell(node, place, jump);
    cells.set(place, node);
    if (!node.isConnected) fresh.push(node);
  }
  if (fresh.length) $("cells").append(...fresh);
  for (const node of spare) node.remove();
  // While somebody flies past, no picture is loaded; it is when they stop.
  clearTimeout(lateTimer);
  if (jump) lateTimer = setTimeout(() => cells.forEach(loadCell), 90);
  else cells.forEach(loadCell);
  $("sheet").setAttribute("aria-activedescendant", cells.has(selected) ? "c" + selected : "");
}
const later = () => { if (!drawn) { drawn = true; requestAnimationFrame(renderSheet); } };

function select(place) {
  const old = cells.get(selected);
  if (old) old.setAttribute("aria-selected", "false");
  selected = Math.min(Math.max(place, 0), shown.length - 1);
  const node = cells.get(selected);
  if (node) node.setAttribute("aria-selected", "true");
  $("sheet").setAttribute("aria-activedescendant", node ? "c" + selected : "");
}
function reveal() {
  const row = Math.floor(selected / grid.across), rect = $("cells").getBoundingClientRect();
  const sticky = getComputedStyle($("tools")).position === "sticky" ? $("tools").getBoundingClientRect().height + 52 : 52;
  const y = rect.top + row * grid.height;
  if (y < sticky) window.scrollBy(0, y - sticky - 8);
  else if (y + grid.height > window.innerHeight) window.scrollBy(0, y + grid.height - window.innerHeight + 8);
  renderSheet();
}

$("sheet").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(window.innerHeight / grid.height) - 1) * grid.across;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.across, ArrowDown: grid.across, PageUp: -page, PageDown: page, Home: -shown.length, End: shown.length };
  if (event.key in moves) {
    const goal = selected + moves[event.key];
    if (goal >= 0 && goal < shown.length || Math.abs(moves[event.key]) > 1) select(goal);
    reveal();
    event.preventDefault();
  } else if (event.key === "Enter" || event.key === " ") {
    open(shown[selected]);
    event.preventDefault();
  }
});

// ---------------------------------------------------------------- one picture

const stage = $("stage");
let now = -1, details = null, version = 0, mode = "slider", share = 50;
let zoom = 1, pan = { x: 0, y: 0 }, frames = {};

function open(index) {
  if (index === undefined) return;
  location.hash = "#/picture/" + index;
}

function showPicture(index) {
  if (!(index >= 0 && index < count)) { location.hash = "#/pictures"; return; }
  const same = now === index;
  now = index;
  if (!same) { details = null; version = 0; }
  const place = shown.indexOf(index);
  if (place >= 0) selected = place;
  $("p-title").textContent = sheet.title[index] || sheet.file[index];
  $("p-file").textContent = sheet.file[index];
  document.title = (sheet.title[index] || sheet.file[index]) + " – report";
  $("position").textContent = place >= 0 ? `${grouped(place + 1)} of ${grouped(shown.length)}` : "";
  $("previous").disabled = place <= 0;
  $("next").disabled = place < 0 || place + 1 >= shown.length;
  detailsOf(index).then((found) => {
    if (now !== index) return;
    details = found;
    const good = found.versions.findIndex((entry) => !entry.mask);
    version = good < 0 ? 0 : good;
    showVersion();
    for (const near of [shown[place + 1], shown[place - 1]]) if (near !== undefined) preload(near);
  }).catch((error) => {
    if (now !== index) return;
    $("p-body").replaceChildren(el("p", { class: "problem" }, "The details of this picture cannot be read: " + error.message + "."));
  });
}
function preload(index) {
  detailsOf(index).then((found) => {
    const names = [found.before, found.versions[0] && found.versions[0].after];
    for (const name of names) if (name) new Image().src = picture(name, ".jpg");
  }).catch(() => {});
}

function showVersion() {
  const list = details.versions, chosen = list[version];
  $("p-versions").hidden = list.length < 2;
  $("p-versions").replaceChildren(...list.map((entry, i) => {
    const button = el("button", { type: "button", "aria-pressed": i === version }, entry.output + (entry.mask ? " (mask)" : ""));
    button.addEventListener("click", () => { version = i; showVersion(); });
    return button;
  }));
  const set = (layer, name, ending) => {
    const img = $(layer).querySelector("img");
    const source = name ? picture(name, ending) : "";
    if (img.getAttribute("src") !== source) { if (source) img.src = source; else img.removeAttribute("src"); }
    img.hidden = !source;
  };
  set("l-before", details.before, ".jpg");
  set("l-after", chosen && chosen.after, ".jpg");
  set("l-difference", chosen && chosen.difference, ".png");
  $("l-before").querySelector("img").alt = "Original: " + (sheet.title[now] || sheet.file[now]);
  $("l-after").querySelector("img").alt = "Derivative: " + (sheet.title[now] || sheet.file[now]);
  zoom = 1; pan = { x: 0, y: 0 };
  frames = {
    before: frameOf($("l-before").querySelector("img"), sheet.width[now], sheet.height[now]),
    after: chosen ? frameOf($("l-after").querySelector("img"), chosen.width, chosen.height) : null,
  };
  setMode(allowed(mode) ? mode : ["slider", "side", "before", "after"].find(allowed) || "before");
  body();
  showReview();
}
const frameOf = (img, width, height) => img.hidden ? null : { width: width || 1, height: height || 1 };

function allowed(name) {
  const chosen = details && details.versions[version];
  const before = Boolean(details && details.before), after = Boolean(chosen && chosen.after);
  if (name === "before") return before;
  if (name === "after") return after;
  if (name === "side") return before && after;
  if (name === "slider") return before && after && Boolean(chosen.align);
  return after && Boolean(chosen.difference);
}

function setMode(name) {
  if (!allowed(name)) name = allowed("before") ? "before" : allowed("after") ? "after" : "none";
  else mode = name;
  stage.dataset.mode = name;
  for (const button of document.querySelectorAll("[data-mode]")) {
    if (button.tagName !== "BUTTON") continue;
    button.setAttribute("aria-pressed", button.dataset.mode === name);
    button.disabled = !allowed(button.dataset.mode);
  }
  $("gain-label").hidden = name !== "difference";
  const chosen = details && details.versions[version];
  let note = "";
  if (name === "none") note = details && details.problem ? "The original cannot be shown: " + details.problem : "There is nothing to show: " + (sheet.code[now] ? spoken(words.code[sheet.code[now]]) || "the file was not decoded" : "the file was not decoded");
  else if (details && details.problem && !details.before) note = "The original cannot be shown: " + details.problem;
  else if (chosen && chosen.after && !chosen.align && !chosen.mask) note = "Original and derivative do not lie on each other, so they are shown side by side only.";
  else if (!chosen) note = sheet.status[now] === words.status.indexOf("unchanged") ? "No step found anything to do: the original is as good as it gets." : "Nothing was made from it.";
  $("stage-note").textContent = note;
  $("stage-note").hidden = !note;
  $("stage-note").classList.toggle("low", name !== "none");
  arrange();
}

/** Puts the layers where they belong: same scale, same place, the border between them. */
function arrange() {
  if ($("picture").hidden || !details) return;
  const name = stage.dataset.mode, chosen = details.versions[version];
  const area = { width: stage.clientWidth, height: stage.clientHeight };
  const half = name === "side" ? { width: area.width / 2, height: area.height } : area;
  const laid = chosen && chosen.align && name !== "before" && name !== "none";
  const room = 0.97;
  const fit = (frame) => frame ? fitted(frame, half.width * room, half.height * room) : 1;
  const put = (layer, frame, align) => {
    if (!frame) return;
    const move = $(layer).querySelector(".move"), img = move.querySelector("img");
    const scale = fit(frame), w = frame.width * scale, h = frame.height * scale;
    move.style.width = w + "px";
    move.style.height = h + "px";
    const x = half.width / 2 + pan.x - w * zoom / 2, y = half.height / 2 + pan.y - h * zoom / 2;
    move.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    img.style.transform = align ? inverse(align, w, h) : "";
    return { x, y, w: w * zoom, h: h * zoom, scale: scale * zoom };
  };
  const after = put("l-after", frames.after, null);
  put("l-difference", frames.after, null);
  const before = laid ? put("l-before", frames.after, chosen.align) : put("l-before", frames.before, null);
  const measured = name === "before" || !after ? before : after;
  if (measured) {
    const percent = measured.scale * 100;
    $("zoom").textContent = zoom === 1 ? "Fit" : (percent < 10 ? percent.toFixed(1) : Math.round(percent)) + " %";
    const img = $(name === "before" || !after ? "l-before" : "l-after").querySelector("img");
    stage.classList.toggle("sharp", zoom > 1 && img.naturalWidth > 0 && measured.w / img.naturalWidth > 6);
  }
  const border = after ? Math.min(Math.max(after.x + after.w * share / 100, 0), area.width) : area.width / 2;
  $("divider").style.left = border + "px";
  $("l-before").style.clipPath = name === "slider" ? `inset(0 ${area.width - border}px 0 0)` : "";
  $("divider").setAttribute("aria-valuenow", Math.round(share));
  $("divider").setAttribute("aria-valuetext", `before on the left ${Math.round(share)} %`);
}
/** The scale at which a picture fills a place; small ones are not blown up without end. */
const fitted = (frame, width, height) => Math.min(width / frame.width, height / frame.height, 4);
/** The map from derivative to original, turned round, as a transform of the original's picture. */
function inverse([a, b, c, d, e, f], w, h) {
  const det = a * d - b * c;
  if (!det) return "";
  const [A, B, C, D] = [d / det, -b / det, -c / det, a / det];
  const E = -(A * e + C * f), F = -(B * e + D * f);
  return `matrix(${A}, ${B * h / w}, ${C * w / h}, ${D}, ${E * w}, ${F * h})`;
}

function zoomTo(factor, at) {
  const goal = Math.min(Math.max(zoom * factor, 1), 40);
  const half = stage.dataset.mode === "side" ? stage.clientWidth / 2 : stage.clientWidth;
  const place = at || { x: half / 2, y: stage.clientHeight / 2 };
  const x = place.x % half - half / 2, y = place.y - stage.clientHeight / 2;
  const real = goal / zoom;
  pan = goal === 1 ? { x: 0, y: 0 } : { x: x - (x - pan.x) * real, y: y - (y - pan.y) * real };
  zoom = goal;
  arrange();
}
function setShare(value) { share = Math.min(Math.max(value, 0), 100); arrange(); }

const fingers = new Map();
let dragging = null, pinch = 0;
const placeOf = (event) => { const rect = stage.getBoundingClientRect(); return { x: event.clientX - rect.left, y: event.clientY - rect.top }; };
function shareAt(x) {
  const chosen = details.versions[version];
  if (!chosen || !frames.after) return share;
  const scale = fitted(frames.after, stage.clientWidth * 0.97, stage.clientHeight * 0.97);
  const w = frames.after.width * scale * zoom, left = stage.clientWidth / 2 + pan.x - w / 2;
  return (x - left) / w * 100;
}
stage.addEventListener("pointerdown", (event) => {
  if (!details || event.button > 0) return;
  fingers.set(event.pointerId, placeOf(event));
  stage.setPointerCapture(event.pointerId);
  const onDivider = event.target.closest("#divider");
  const slides = stage.dataset.mode === "slider" && (onDivider || zoom === 1);
  dragging = slides ? "border" : "pan";
  if (onDivider) $("divider").focus({ preventScroll: true });
  stage.classList.toggle("dragging", !slides);
  if (slides && fingers.size === 1) setShare(shareAt(placeOf(event).x));
  pinch = 0;
});
stage.addEventListener("pointermove", (event) => {
  const old = fingers.get(event.pointerId);
  if (!old) return;
  const place = placeOf(event);
  fingers.set(event.pointerId, place);
  if (fingers.size === 2) {
    const [a, b] = [...fingers.values()];
    const apart = Math.hypot(a.x - b.x, a.y - b.y);
    if (pinch) zoomTo(apart / pinch, { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    pinch = apart;
  } else if (dragging === "border") setShare(shareAt(place.x));
  else if (zoom > 1) { pan = { x: pan.x + place.x - old.x, y: pan.y + place.y - old.y }; arrange(); }
});
for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => { fingers.delete(event.pointerId); pinch = 0; stage.classList.remove("dragging"); });
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomTo(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0022)), placeOf(event));
}, { passive: false });
stage.addEventListener("dblclick", (event) => { if (zoom > 1) zoomTo(0); else zoomTo(3, placeOf(event)); });
$("divider").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
  if (event.key in steps && !event.ctrlKey && !event.metaKey && !event.altKey) {
    setShare(share + steps[event.key]);
    event.preventDefault();
    event.stopPropagation();
  }
});
for (const button of document.querySelectorAll("button[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
$("zoom-in").addEventListener("click", () => zoomTo(1.5));
$("zoom-out").addEventListener("click", () => zoomTo(1 / 1.5));
$("zoom-fit").addEventListener("click", () => zoomTo(0));
$("gain").addEventListener("input", () => {
  $("gain-r").setAttribute("slope", $("gain").value);
  $("gain-value").textContent = "×" + $("gain").value;
  // Some browsers draw a filter again only when its user changes.
  const img = $("l-difference").querySelector("img");
  img.style.filter = "none"; void img.offsetWidth; img.style.filter = "";
});
for (const img of stage.querySelectorAll("img")) img.addEventListener("load", arrange);

// ---------------------------------------------------------------- what is known of a picture

const columnNames = {
  creator: "Creator", date: "Date", description: "Description", subject: "Subjects", location: "Place", source: "Holding", identifier: "Call number",
  language: "Language", rights: "Rights", rightsstatement: "Rights statement", image_alt_text: "What it shows", scanner: "Scanner", date_digitized: "Scanned",
  duplicate_of: "Same file as", pipeline: "Pipeline", processed_at: "Processed", objectid: "Object id", puid: "PRONOM", format_version: "Version of the format",
  well_formed: "Well-formed", color_space: "Colour space", compression_scheme: "Compression", icc_profile: "ICC profile", bits_per_sample: "Bits a sample",
  blur_score: "Sharpness", noise_score: "Noise", clipped_percent: "Clipped, %", damaged_percent: "Damaged, %", perceptual_hash: "Perceptual hash", ai_system: "Network",
};
const described = ["creator", "date", "description", "subject", "location", "source", "identifier", "language", "rights", "rightsstatement", "image_alt_text"];
const technical = ["objectid", "puid", "format_version", "well_formed", "color_space", "bits_per_sample", "compression_scheme", "icc_profile", "scanner", "date_digitized", "blur_score", "noise_score", "clipped_percent", "damaged_percent", "perceptual_hash", "duplicate_of", "pipeline", "processed_at"];
const warnings = new Set(["animation_first_frame", "depth_reduced", "extension_mismatch", "extra_samples_dropped", "icc_invalid", "icc_mismatch", "max_change_refused", "metadata_unreadable", "name_not_utf8"]);

function pairs(object) {
  return el("table", { class: "pairs" }, el("tbody", null, Object.entries(object).map(([name, value]) =>
    el("tr", null, el("th", { scope: "row" }, spoken(name)), el("td", null, value === null ? "–" : typeof value === "object" ? bounds(value) : figure(value))))));
}
function bounds(value) {
  if (typeof value !== "object" || value === null) return figure(value);
  return Object.entries(value).map(([name, inner]) => typeof inner === "object" && inner !== null ? `${spoken(name)} ${bounds(inner)}` : `${spoken(name)} ${figure(inner)}`).join(", ");
}
function factList(entries) {
  return el("dl", { class: "facts" }, entries.map(([name, value, digest]) => [el("dt", null, name), el("dd", { class: digest ? "digest" : null }, value)]));
}

function body() {
  const f = details.fields, chosen = details.versions[version], sidecar = chosen && chosen.sidecar;
  const out = [];
  for (const failure of details.failures) {
    out.push(el("p", { class: "problem" }, el("b", null, spoken(failure.code || "failed")), ` in ${failure.stage}: ${failure.message}`, failure.retryable ? " Later runs try again." : ""));
  }
  if (f.status === "skipped" || f.status === "cancelled") out.push(el("p", { class: "problem" }, `${f.status}: ${f.error_message || spoken(f.error_code || "")}`));
  if (sidecar && sidecar.label) for (const text of Object.values(sidecar.label)) out.push(el("p", { class: "label-quote" }, text));
  const flags = (f.quality_flags || "").split(";").filter(Boolean);
  if (flags.length) out.push(el("h3", null, "Remarks"), el("ul", { class: "flags" }, flags.map((flag) => el("li", { class: warnings.has(flag) ? "warn" : null }, spoken(flag)))));
  const said = described.filter((name) => f[name]);
  if (said.length) out.push(el("h3", null, "Description"), factList(said.map((name) => [columnNames[name], f[name].replace(/;/g, "; ")])));
  if (sidecar) out.push(...provenance(sidecar));
  out.push(el("h3", null, chosen ? "Original and derivative" : "Original"), chosen ? twin(chosen, sidecar) : alone());
  const facts = technical.filter((name) => f[name]).map((name) => [columnNames[name], f[name]]);
  if (sheet.seconds[now] !== null) facts.push(["Work took", figure(sheet.seconds[now]) + " s"]);
  out.push(el("h3", null, "Technical"), factList(facts));
  if (sidecar) {
    const environment = Object.entries(sidecar.environment || {}).filter(([, value]) => value).map(([name, value]) => [spoken(name), String(value)]);
    out.push(el("details", null, el("summary", null, "Machine and settings"), factList(environment.concat([["run", sidecar.run, true], ["settings, SHA-256", sidecar.config_sha256, true]]))));
  }
  $("p-body").replaceChildren(...out);
}

function provenance(sidecar) {
  const out = [el("h3", null, "What was done")];
  out.push(el("ol", { class: "events" }, sidecar.events.map(eventItem)));
  const skipped = sidecar.skippedSteps || [];
  if (skipped.length) {
    const item = (step) => el("li", { class: "plain-event" }, el("div", { class: "what" }, el("b", null, step.step), step.step === step.operation ? "" : ` (${step.operation})`,
      step.reason === "condition_not_met" ? ": its condition was not met" : ": found nothing to do"),
      step.condition ? el("div", { class: "figures-line" }, "acts when " + bounds(step.condition)) : null,
      step.measured ? el("div", { class: "figures-line" }, "measured: " + bounds(step.measured)) : null);
    out.push(el("details", null, el("summary", null, plural(skipped.length, "step", "steps") + " left it alone"), el("ol", { class: "events" }, skipped.map(item))));
  }
  return out;
}

function eventItem(event) {
  const step = Boolean(event.step);
  const kind = event.outcome === "warning" ? "undone" : event.outcome === "fail" ? "fail" : step ? "" : "plain-event";
  const heading = el("div", { class: "what" }, el("b", null, step ? event.step : event.type), step && event.operation !== event.step ? ` (${event.operation})` : "",
    event.detail ? ": " + event.detail : "", event.outcomeDetail ? (event.detail ? "; " : ": ") + event.outcomeDetail : "");
  const item = el("li", { class: kind || null }, heading);
  const line = [];
  if (event.changedPixelsPercent !== undefined && !(event.comparedWithInput && "changed_percent" in event.comparedWithInput)) line.push(`${figure(event.changedPixelsPercent)} % of the pixels changed`);
  const compared = event.comparedWithInput;
  if (compared) {
    const names = { psnr: ["PSNR ", " dB"], ssim: ["SSIM ", ""], color_shift: ["colour shift ΔE ", ""], clipped_added_percent: ["newly clipped ", " %"], changed_percent: ["changed ", " %"] };
    for (const [name, value] of Object.entries(compared)) { if (name === "clipped_added_percent" && Math.abs(value) < 0.05) continue; const [before, after] = names[name] || [spoken(name) + " ", ""]; line.push(before + figure(value) + after); }
  }
  if (line.length) item.append(el("div", { class: "figures-line" }, (compared ? "beside its input: " : "") + line.join(" · ")));
  if (event.model) {
    const m = event.model;
    item.append(el("details", { open: true }, el("summary", null, "Network " + m.name), factList([["Version", m.version], ["Weights, SHA-256", m.sha256, true], ["Licence", m.licence], ["Trained on", m.trainingData]].filter(([, value]) => value))));
  }
  const more = {};
  if (event.measured) Object.assign(more, event.measured);
  if (Object.keys(more).length || event.parameters) {
    const inner = [];
    if (Object.keys(more).length) inner.push(el("div", null, "Measured", pairs(more)));
    if (event.parameters) inner.push(el("div", null, "Parameters", pairs(event.parameters)));
    const rest = [event.seed !== undefined ? `seed ${event.seed}` : "", event.agent ? `${event.agent.name} ${event.agent.version}` : "", event.dateTime].filter(Boolean).join(" · ");
    inner.push(el("div", { class: "soft" }, rest));
    item.append(el("details", null, el("summary", null, "Figures and parameters"), inner));
  }
  return item;
}

function alone() {
  const f = details.fields;
  return factList([["Format", (f.format || "") + (f.compression_scheme ? ", " + f.compression_scheme : "")], ["Pixels", f.image_width ? `${f.image_width} × ${f.image_height}` : ""],
    ["Pixels an inch", f.ppi_x], ["File size", f.file_size ? size(f.file_size) : ""], ["File", f.filename], ["SHA-256", details.sha256, true]].filter(([, value]) => value));
}

function twin(chosen, sidecar) {
  const f = details.fields;
  const rows = [
    ["Format", (f.format || "") + (f.compression_scheme ? ", " + f.compression_scheme : ""), sidecar ? sidecar.derivative.format : ""],
    ["Pixels", f.image_width ? `${f.image_width} × ${f.image_height}` : "", chosen && chosen.width ? `${chosen.width} × ${chosen.height}` : ""],
    ["Pixels an inch", f.ppi_x || "", sidecar && sidecar.derivative.ppi ? figure(sidecar.derivative.ppi) : ""],
    ["File size", f.file_size ? size(f.file_size) : sidecar ? size(sidecar.wasDerivedFrom.size) : "", ""],
    ["Page", f.page_count || details.page > 1 || f.parentid ? String(details.page) + (f.page_count ? " of " + f.page_count : "") : "", ""],
    ["Source type", "", chosen && sidecar && sidecar.derivative.digitalSourceType ? sidecar.derivative.digitalSourceType.split("/").pop() : ""],
    ["Use", "", chosen && chosen.use ? chosen.use.split("#").pop() : ""],
  ].filter(([, a, b]) => a || b);
  const file = chosen ? (data.output ? el("a", { href: address(chosen.path) }, chosen.path) : el("span", null, chosen.path)) : "";
  const table = el("table", { class: "twin" }, el("thead", null, el("tr", null, el("td"), el("th", { scope: "col" }, "Original"), el("th", { scope: "col" }, chosen ? "Derivative" : ""))),
    el("tbody", null, rows.map(([name, a, b]) => el("tr", null, el("th", { scope: "row" }, name), el("td", null, a), el("td", null, b))),
      el("tr", null, el("th", { scope: "row" }, "File"), el("td", { class: "path" }, f.filename || ""), el("td", { class: "path" }, file)),
      el("tr", null, el("th", { scope: "row" }, "SHA-256"), el("td", { class: "digest" }, details.sha256 || ""), el("td", { class: "digest" }, chosen && chosen.sha256 || ""))));
  return table;
}

// ---------------------------------------------------------------- review of one picture

const targetNow = () => details ? targetsOf(now, details)[details.versions.length ? version : 0] : null;
function showReview() {
  const target = targetNow();
  const entry = target && decisions.get(target.key);
  const holds = entry && (!entry.sha256 || !target.sha256 || entry.sha256 === target.sha256);
  $("approve").setAttribute("aria-pressed", Boolean(holds && entry.decision === "approve"));
  $("reject").setAttribute("aria-pressed", Boolean(holds && entry.decision === "reject"));
  $("undo").disabled = history.length === 0;
  if (document.activeElement !== $("note")) $("note").value = entry ? entry.note || "" : "";
}
function judge(decision) {
  if (!details || now < 0) return;
  const target = targetNow(), entry = decisions.get(target.key);
  const again = entry && entry.decision === decision && (!entry.sha256 || entry.sha256 === target.sha256);
  decide(now, [target], { decision: again ? "" : decision });
  showReview();
  if (!again && $("advance").checked && !$("next").disabled) step(1);
}
function step(by) {
  const place = shown.indexOf(now);
  const goal = shown[place + by];
  if (place < 0 || goal === undefined) return;
  window.history.replaceState(null, "", "#/picture/" + goal);
  showPicture(goal);
}
function undoHere() {
  const index = undo();
  if (index === null) return;
  if (!$("picture").hidden) { if (index !== now) { window.history.replaceState(null, "", "#/picture/" + index); showPicture(index); } else showReview(); }
}
$("approve").addEventListener("click", () => judge("approve"));
$("reject").addEventListener("click", () => judge("reject"));
$("undo").addEventListener("click", undoHere);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("note").addEventListener("change", () => { const target = targetNow(); if (target) { decide(now, [target], { note: $("note").value.trim() }); } });
$("reviewer").addEventListener("change", () => { try { localStorage.setItem("fonds-reviewer", $("reviewer").value); } catch (error) { /* it is asked for again */ } });
try { $("reviewer").value = localStorage.getItem("fonds-reviewer") || ""; } catch (error) { /* it is asked for again */ }
$("save").addEventListener("click", save);
window.addEventListener("beforeunload", (event) => { if (unsaved && !kept) event.preventDefault(); });

function judgeSheet(decision) {
  const index = shown[selected];
  if (index === undefined) return;
  detailsOf(index).then((found) => {
    const targets = targetsOf(index, found);
    const again = targets.every((target) => (decisions.get(target.key) || {}).decision === decision);
    decide(index, targets, { decision: again ? "" : decision });
    if (!again && selected + 1 < shown.length) { select(selected + 1); reveal(); }
  });
}

// ---------------------------------------------------------------- keys, views

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && field) { field.blur(); if (!$("picture").hidden) $("p-title").focus(); event.preventDefault(); return; }
  if (field || $("help").open) return;
  const one = !$("picture").hidden, many = !$("pictures").hidden;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = {
    "?": () => $("help").showModal(), "s": save, "u": undoHere,
    "/": () => { if (!many) location.hash = filterHash(); setTimeout(() => $("f-text").focus(), 0); },
  };
  if (one) Object.assign(act, {
    "ArrowLeft": () => step(-1), "ArrowRight": () => step(1), "a": () => judge("approve"), "r": () => judge("reject"),
    "n": () => $("note").focus(), "Escape": () => { location.hash = filterHash(); }, "+": () => zoomTo(1.5), "=": () => zoomTo(1.5), "-": () => zoomTo(1 / 1.5), "0": () => zoomTo(0),
    "1": () => setMode("slider"), "2": () => setMode("side"), "3": () => setMode("before"), "4": () => setMode("after"), "5": () => setMode("difference"),
  });
  if (many) Object.assign(act, {
    "a": () => judgeSheet("approve"), "r": () => judgeSheet("reject"),
    "n": () => { open(shown[selected]); setTimeout(() => $("note").focus(), 120); },
  });
  if (act[key]) { act[key](); event.preventDefault(); }
});
$("help-open").addEventListener("click", () => $("help").showModal());

for (const [id, name] of fields) {
  let timer = 0;
  $(id).addEventListener(name === "text" ? "input" : "change", () => {
    clearTimeout(timer);
    timer = setTimeout(() => changeFilter({ [name]: $(id).value }), name === "text" ? 120 : 0);
  });
}
$("tools").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["clear", "clear-2"]) $(id).addEventListener("click", () => { filter = { sort: filter.sort }; changeFilter({}); });
$("f-size").addEventListener("input", () => { layoutSheet(); });
window.addEventListener("scroll", later, { passive: true });
window.addEventListener("resize", () => { if (!$("pictures").hidden) layoutSheet(); arrange(); });
if (window.matchMedia("(max-width: 46rem)").matches) $("more").removeAttribute("open");

// What is printed of the contact sheet: at most this many pictures.
window.addEventListener("beforeprint", () => {
  if ($("pictures").hidden) return;
  for (let place = 0; place < Math.min(shown.length, 600); place += 1) {
    if (cells.has(place)) continue;
    const node = spare.pop() || makeCell();
    fillCell(node, place, false);
    cells.set(place, node);
  }
  $("cells").append(...[...cells.entries()].sort((a, b) => a[0] - b[0]).map(([, node]) => node));
});
window.addEventListener("afterprint", () => { if (!$("pictures").hidden) layoutSheet(); });

let sheetTop = 0;
function route() {
  const hash = location.hash || "#/";
  const [path, query] = hash.slice(1).split("?");
  const view = path.startsWith("/picture/") ? "picture" : path === "/pictures" ? "pictures" : "overview";
  if (!$("pictures").hidden && view === "picture") sheetTop = window.scrollY;
  const from = document.body.dataset.view;
  document.body.dataset.view = view;
  for (const name of ["overview", "pictures", "picture"]) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-nav]")) {
    const current = link.dataset.nav === view || link.dataset.nav === "pictures" && view === "picture";
    if (current) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = $("overview").querySelector("h1").textContent + " – report";
  if (view === "pictures") {
    const asked = {};
    for (const pair of (query || "").split("&").filter(Boolean)) {
      const cut = pair.indexOf("=");
      try { asked[pair.slice(0, cut)] = decodeURIComponent(pair.slice(cut + 1)); } catch (error) { /* a broken address filters nothing */ }
    }
    const back = from === "picture" && JSON.stringify(asked) === JSON.stringify(Object.fromEntries(Object.entries(filter).filter(([, value]) => value)));
    filter = asked;
    $("back").href = filterHash();
    refilter(back);
    window.scrollTo(0, back ? sheetTop : 0);
    if (back) { reveal(); $("sheet").focus({ preventScroll: true }); }
    renderSheet();
  } else if (view === "picture") {
    showPicture(Number(path.slice("/picture/".length)));
    window.scrollTo(0, 0);
    if (from !== "picture") $("p-title").focus({ preventScroll: true });
  } else window.scrollTo(0, 0);
}
window.addEventListener("hashchange", route);
window.history.scrollRestoration = "manual";

fillSelects();
tallyUp();
sift();
$("back").href = filterHash();
route();
fonds.review = table;
}());
