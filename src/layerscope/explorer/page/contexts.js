"use strict";
/* Places of the corpus as strips of tokens, coloured by activation. */
{
  const { element, row, short, count, manifest, NONE } = layerscope;
  const { before, after } = manifest.context;
  const SIZE = before + 1 + after;
  const { sequence_length: SEQUENCE, chunk_tokens: CHUNK } = manifest;

  const kindLabel = (kind) => ({
    most: "Largest activations", least: "Smallest activations", random: "Random tokens, the same for all neurons",
  })[kind] ?? "At the deciles of the neuron's activations";
  const decile = (kind) => /^quantile_(\d+)$/.exec(kind)?.[1];

  /* Colours of a neuron's activations: of two hues about 0, or of one if all have one sign. */
  layerscope.colouring = (low, high) => {
    const limit = Math.max(Math.abs(low), Math.abs(high)) || 1;
    const paint = (node, value) => {
      if (!Number.isFinite(value)) return;
      node.classList.add(value < 0 ? "negative" : "positive");
      node.style.setProperty("--share", `${Math.round(100 * Math.min(1, Math.abs(value) / limit))}%`);
    };
    const legend = () => {
      const [from, to] = [low < 0 ? -limit : 0, high > 0 ? limit : 0];
      const kind = low < 0 && high > 0 ? "both" : low < 0 ? "below" : "above";
      return element("p", { class: "scale" }, "Activation ", element("span", {}, short(from)),
        element("span", { class: `bar ${kind}`, role: "img", "aria-label": `Colours from ${short(from)} to ${short(to)}` }),
        element("span", {}, short(to)),
        element("span", { class: "note" }, "token in the box: the one that was chosen; ", element("span", { class: "boundary" }), " start of a document"));
    };
    return { paint, legend };
  };

  /* Left and right move the focus within a strip, so that it is one stop of the tab key. */
  const moveFocus = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || !event.target.matches(".token")) return;
    event.stopPropagation();
    event.preventDefault();
    const tokens = [...event.currentTarget.querySelectorAll(".token")];
    const next = tokens[tokens.indexOf(event.target) + step];
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };

  const tooltip = (event) => {
    const token = event.target.closest(".token");
    if (token) layerscope.showTooltip(token.dataset.said, token);
  };

  const strip = async (model, vocabulary, place, activations, colouring) => {
    const number = Math.floor(place / CHUNK);
    const chunk = await layerscope.load(`tokens/${model.tokenizer}/${String(number).padStart(5, "0")}`);
    const { input_ids: ids, document: documents } = chunk.arrays;
    const focus = place - chunk.facts.first;
    const start = focus - (focus % SEQUENCE);
    const position = focus - start;
    const sequence = Math.floor(place / SEQUENCE);
    const line = element("div", { class: "strip", role: "list", keydown: moveFocus, mouseover: tooltip, focusin: tooltip,
      mouseout: layerscope.hideTooltip, focusout: layerscope.hideTooltip,
      "aria-label": `Position ${position} of sequence ${sequence}, document ${documents[focus]}` });
    if (position <= before) line.append(element("span", { class: "edge", title: "Start of the sequence" }, "⊢"));
    for (let i = 0; i < SIZE; i++) {
      const at = focus - before + i;
      if (at < start || at >= start + SEQUENCE || at >= ids.length) continue;
      const isFocus = i === before;
      const value = activations[i];
      const said = `${layerscope.tokenText(vocabulary, ids[at])}: ${Number.isFinite(value) ? short(value) : "not kept"}, position ${at - start} of sequence ${sequence}`;
      const token = layerscope.tokenElement(vocabulary, ids[at], {
        class: isFocus ? "focus" : "", role: "listitem", tabindex: isFocus ? 0 : -1, "aria-label": said, "data-said": said,
      });
      colouring.paint(token, value);
      if (at > start && documents[at] !== documents[at - 1]) {
        line.append(element("span", { class: "boundary", role: "img", "aria-label": "Start of a document", title: `Start of document ${documents[at]}` }));
      }
      line.append(token);
    }
    return line;
  };

  /* The contexts of a neuron, those of one kind under one heading.
     `wanted`: kinds to show; all if not given. */
  layerscope.contexts = async (model, file, neuron, vocabulary, colouring, wanted) => {
    const places = row(file, "context_place", neuron);
    const values = row(file, "context_value", neuron);
    const windows = row(file, "context_window", neuron);
    const [low] = row(file, "window_low", neuron);
    const [high] = row(file, "window_high", neuron);
    const sections = new Map();
    let at = -1;
    for (const { kind, count: size } of file.facts.contexts) {
      for (let rank = 0; rank < size; rank++) {
        at++;
        if (places[at] === NONE || (wanted && !wanted.includes(kind))) continue;
        const activations = Array.from(windows.subarray(at * SIZE, (at + 1) * SIZE), (q) => (q ? low + ((q - 1) / 254) * (high - low) : NaN));
        activations[before] = values[at];
        const label = kindLabel(kind);
        if (!sections.has(label)) sections.set(label, []);
        const prefix = decile(kind) ? `${decile(kind)}%: ` : "";
        const value = values[at];
        sections.get(label).push(strip(model, vocabulary, places[at], activations, colouring).then((line) =>
          element("div", { class: "context" }, element("span", { class: "value" }, `${prefix}${short(value)}`), line)));
      }
    }
    const built = await Promise.all([...sections].map(async ([label, strips]) =>
      element("section", {}, element("h4", {}, label), await Promise.all(strips))));
    return element("div", { class: "contexts" }, built);
  };
}
