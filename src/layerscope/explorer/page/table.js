"use strict";
/* The table of neurons: filter, search by token, sort, choice of columns. Only the rows in sight are elements. */
{
  const { element, models, columns, statistics, go, link, short, count } = layerscope;
  const ROW = 28; // pixels, as in the style sheet
  const SPARE = 10;
  const USUAL = ["r", "r_given_all", "r_types", "dip_tokens", "kurtosis", "mean", "std"];
  const container = document.getElementById("table");

  const modelChoice = layerscope.select("Model", [...models.keys()].map((name) => [name, name]), (model) => go({ model }));
  const both = layerscope.checkbox("", (on) => go({ both: on ? "1" : "" }));
  const filter = layerscope.filterField();
  const token = element("input", { type: "text", size: 12, placeholder: "her", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    title: "A token as text, or its id after #; · is a space.", change: () => go({ token: token.value }) });
  const among = layerscope.select("Among the ten", layerscope.tokenLists, (list) => go({ among: list }));
  const chooser = element("details", { class: "chooser" }, element("summary", {}, "Columns"));
  const save = element("button", { type: "button" }, "Save CSV");
  const found = element("p", { class: "found", role: "status" });
  const progress = element("progress", { "aria-label": "Layers searched", hidden: true });
  const said = element("p", { class: "searched" });
  const head = element("tr", {});
  const body = element("tbody", {});
  const grid = element("table", { class: "neurons" }, element("thead", {}, head), body);
  const scroller = element("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Neurons" }, grid);
  container.append(
    element("div", { class: "controls" }, modelChoice.field, both.field, filter.field,
      element("label", {}, element("span", {}, "Token"), token), among.field, chooser, save),
    said, progress, found, scroller,
  );
  let shown = null; // {rows, names, values}

  const namesIn = (state) => {
    if (state.columns) return state.columns.split(",").filter((name) => name !== "layer" && name !== "neuron");
    const usual = USUAL.filter((name) => columns.has(name));
    const sorted = state.sort.replace("-", "");
    return usual.includes(sorted) || !sorted || sorted === "layer" || sorted === "neuron" ? usual : [...usual, sorted];
  };

  const showChooser = (names) => {
    const boxes = statistics.map(({ name, label, description }) => {
      const choice = layerscope.checkbox(name, (on) => {
        const now = namesIn(layerscope.state());
        go({ columns: statistics.map((column) => column.name).filter((other) => (other === name ? on : now.includes(other))).join(",") }, true);
      });
      choice.box.checked = names.includes(name);
      choice.field.title = `${label}: ${description}`;
      return choice.field;
    });
    const held = chooser.contains(document.activeElement) ? [...chooser.querySelectorAll("input")].indexOf(document.activeElement) : -1;
    chooser.querySelector("div")?.remove();
    chooser.append(element("div", { class: "choices" }, boxes));
    if (held >= 0) chooser.querySelectorAll("input")[held].focus();
  };

  const heading = (state, name, label) => {
    const [sorted, descending] = [state.sort.replace("-", "") === name, state.sort.startsWith("-")];
    // A statistic's largest values come first, then its smallest; then the order is that of the neurons again.
    const numbered = name === "layer" || name === "neuron";
    const next = !sorted ? (numbered ? name : `-${name}`) : numbered === descending ? "" : descending ? name : `-${name}`;
    const { description, unit } = columns.get(name);
    return element("th", { scope: "col", "aria-sort": sorted ? (descending ? "descending" : "ascending") : "none" },
      element("button", { type: "button", "data-column": name, title: `${columns.get(name).label}${unit ? ` (${unit})` : ""}: ${description}`, click: () => go({ sort: next }) },
        label, element("span", { "aria-hidden": "true" }, sorted ? (descending ? " ↓" : " ↑") : "")));
  };

  const showRows = () => {
    if (!shown) return;
    const { rows, values, state } = shown;
    const total = rows.order.length;
    const first = Math.max(0, Math.min(total, Math.floor(scroller.scrollTop / ROW)) - SPARE);
    const last = Math.min(total, first + Math.ceil(scroller.clientHeight / ROW) + 2 * SPARE);
    const space = (lines) => {
      const cell = element("td", { colspan: values.length + 3 });
      cell.style.height = `${lines * ROW}px`;
      return element("tr", { class: "space", "aria-hidden": "true" }, cell);
    };
    const lines = [];
    for (let at = first; at < last; at++) {
      const { part, model, layer, neuron, i } = layerscope.rowAt(rows, at);
      const other = model === state.model ? state.other : state.model;
      const place = { view: "neuron", model, other, layer: String(layer), neuron: String(neuron) };
      lines.push(element("tr", { "aria-rowindex": at + 2 },
        element("th", { scope: "row" }, element("a", { href: link(place), "aria-label": layerscope.nameOf(model, layer, neuron) }, model)),
        element("td", {}, String(layer)), element("td", {}, String(neuron)),
        values.map((column) => element("td", {}, short(column[part][i])))));
    }
    body.replaceChildren(space(first), ...lines, space(total - last));
    grid.setAttribute("aria-rowcount", total + 1);
  };
  let due = 0;
  const later = () => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(showRows);
  };
  scroller.addEventListener("scroll", later, { passive: true });
  new ResizeObserver(later).observe(scroller);
  save.addEventListener("click", () => {
    if (!shown) return;
    const { rows, names, values } = shown;
    layerscope.download(`${rows.models.map(({ name }) => name).join("-")}-neurons.csv`, layerscope.csvOf(rows, names, values), "text/csv");
  });

  const search = async (model, rows, { token: query, among: list }, alive) => {
    const vocabulary = await layerscope.vocabularyOf(model);
    if (!alive()) return rows;
    const { ids, line } = layerscope.searchedTokens(vocabulary, query, list);
    // Two models may have one tokenizer.
    if (![...said.children].some(({ textContent }) => textContent === line.textContent)) said.append(line);
    if (!ids.size) return new Uint32Array(0);
    const having = await layerscope.withToken(model, rows, ids, list, (done, of, what) => {
      Object.assign(progress, { max: of, value: done, hidden: false });
      found.textContent = `Searching ${what}`;
    }, alive);
    if (having) return having;
    said.append(` ${model.name} has no such list, as it has no unembedding.`);
    return new Uint32Array(0);
  };

  const select = async (state, alive) => {
    const terms = layerscope.parseFilter(state.filter);
    const wanted = state.both && state.other !== "none" && state.other !== state.model ? [state.model, state.other] : [state.model];
    const parts = [];
    for (const name of wanted) {
      const model = models.get(name);
      let rows = await layerscope.passing(model, terms);
      if (state.token) rows = await search(model, rows, state, alive);
      parts.push({ model, rows });
    }
    return layerscope.makeRows(parts);
  };

  const showControls = (state, names) => {
    modelChoice.select.value = state.model;
    both.field.hidden = state.other === "none" || state.other === state.model;
    both.box.checked = Boolean(state.both);
    both.field.querySelector("span").textContent = `and ${state.other}`;
    filter.input.value = state.filter;
    token.value = state.token;
    among.select.value = state.among;
    said.replaceChildren();
    const sorting = document.activeElement?.dataset.column;
    progress.hidden = true;
    showChooser(names);
    head.replaceChildren(element("th", { scope: "col" }, "model"), heading(state, "layer", "layer"), heading(state, "neuron", "neuron"), ...names.map((name) => heading(state, name, name)));
    if (sorting) head.querySelector(`[data-column="${sorting}"]`)?.focus();
  };

  layerscope.tableView = {
    title: () => "Table",
    show: async (state, alive) => {
      const names = namesIn(state);
      showControls(state, names);
      const rows = await select(state, alive);
      const values = await Promise.all(names.map((name) => layerscope.columnOf(rows, name)));
      const sorted = state.sort.replace("-", "");
      if (sorted) layerscope.sortRows(rows, await layerscope.columnOf(rows, sorted), state.sort.startsWith("-"));
      if (!alive()) return;
      progress.hidden = true;
      shown = { rows, names, values, state };
      const total = rows.models.reduce((sum, model) => sum + model.count, 0);
      found.textContent = `${count(rows.order.length)} of ${count(total)} neurons`;
      scroller.scrollTop = 0;
      showRows();
    },
    clear: () => {
      shown = null;
      progress.hidden = true;
      found.textContent = "";
      body.replaceChildren();
    },
  };
}
