"use strict";
/* The language of the filter: terms such as r>0.2, all of which must hold. */
{
  const { columns, models, Problem } = layerscope;
  const OPERATORS = {
    "=": (a, b) => a === b,
    "!=": (a, b) => a !== b,
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
  };
  const FORM = "write a column, one of = != < <= > >= and a number, for example r>0.2";

  // Columns whose names take the fewest insertions, deletions and replacements to become `name`.
  const nearest = (name) => {
    const distance = (other) => {
      let line = Array.from({ length: other.length + 1 }, (_, j) => j);
      for (let i = 1; i <= name.length; i++) {
        const next = [i];
        for (let j = 1; j <= other.length; j++) {
          next.push(Math.min(line[j] + 1, next[j - 1] + 1, line[j - 1] + (name[i - 1] === other[j - 1] ? 0 : 1)));
        }
        line = next;
      }
      return line[other.length];
    };
    const far = new Map([...columns.keys(), "model"].map((other) => [other, distance(other)]));
    return [...far.keys()].sort((a, b) => far.get(a) - far.get(b)).slice(0, 4);
  };

  const parseTerm = (term) => {
    const [, column, operator, text] = /^([^=!<>]*)(!=|<=|>=|=|<|>)(.*)$/.exec(term) ?? [];
    if (!operator || !column) throw new Problem(`Filter: ${term} is no condition; ${FORM}.`);
    if (column === "model") {
      if (!["=", "!="].includes(operator)) throw new Problem(`Filter: ${term}: a model is compared by = or !=.`);
      if (!models.has(text)) throw new Problem(`Filter: ${term}: there is no such model; models are ${[...models.keys()].join(", ")}.`);
      return { column, operator, value: text };
    }
    if (!columns.has(column)) {
      throw new Problem(`Filter: ${term}: there is no column ${column.slice(0, 40)}; the nearest are ${nearest(column.slice(0, 40)).join(", ")}.`);
    }
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.replace("−", "-"))) {
      throw new Problem(`Filter: ${term}: ${text || "nothing"} is no number; ${FORM}.`);
    }
    // Values are float32: only so does r=0.2 find the neurons whose r is shown as 0.2.
    return { column, operator, value: Math.fround(Number(text.replace("−", "-"))) };
  };

  /* Terms of a filter. */
  layerscope.parseFilter = (text) =>
    text.replace(/\s*(!=|<=|>=|=|<|>)\s*/g, "$1").split(/\s+/).filter(Boolean).map(parseTerm);

  /* Numbers of the neurons of a model that fulfil all terms, in order. */
  layerscope.passing = async (model, terms) => {
    let rows = Uint32Array.from({ length: model.count }, (_, i) => i);
    for (const { column, operator, value } of terms) {
      const holds = OPERATORS[operator];
      if (column === "model") {
        if (!holds(model.name, value)) rows = new Uint32Array(0);
        continue;
      }
      const values = await layerscope.valuesOf(model, column);
      rows = rows.filter((i) => holds(values[i], value));
    }
    return rows;
  };

  /* The field of a filter, the same in each view. */
  layerscope.filterField = () => {
    const input = layerscope.element("input", {
      type: "text", class: "filter", placeholder: "layer=3 r>0.2 p<0.01", spellcheck: "false", autocomplete: "off",
      autocapitalize: "off", title: "Conditions with a space between them; all must hold.",
      change: () => layerscope.go({ filter: input.value.trim() }),
    });
    return { input, field: layerscope.element("label", { class: "grows" }, layerscope.element("span", {}, "Filter"), input) };
  };
}
