"use strict";
/* Plots of one neuron. */
{
  const { svg, row, short, figure, manifest, count } = layerscope;
  const EFFECTS = [
    ["r", "r", "r_low", "r_high", "r_null_low", "r_null_high"],
    ["r_given_frequency", "r given frequency"],
    ["r_given_all", "r given all"],
    ["r_types", "r over types", "r_types_low", "r_types_high"],
    ["r_spearman", "Spearman r"],
  ];
  const finite = (...values) => values.every(Number.isFinite);
  const interval = (value, low, high) => (finite(low, high) ? `${short(value)} [${short(low)}, ${short(high)}]` : short(value));

  /* Statistics of a neuron by name, those of its model alone. */
  layerscope.statisticsOf = (model, file, neuron) => {
    const values = row(file, "statistics", neuron);
    return Object.fromEntries(manifest.columns.map(({ name }, i) => [name, values[i]]).filter(([name]) => model.columns.includes(name)));
  };

  /* Correlations as dots with their intervals, and the band of the null.
     `together`: statistics of all neurons that are shown side by side, on the same axis. */
  layerscope.effectsPlot = (id, statistics, together) => {
    const shown = EFFECTS.filter(([name]) => finite(statistics[name]));
    if (!shown.length) return null;
    const names = EFFECTS.flatMap(([name, , ...bounds]) => [name, ...bounds]);
    const all = together.flatMap((own) => names.map((name) => own[name])).filter(Number.isFinite);
    const limits = [Math.min(0, ...all), Math.max(0, ...all)];
    const margin = (limits[1] - limits[0]) * 0.06;
    const said = shown.map(([name, label, low, high]) => `${label} ${interval(statistics[name], statistics[low], statistics[high])}`);
    return figure({
      name: `${id}-correlations`, title: "Correlation with token length", description: said.join("; "),
      x: { low: limits[0] - margin, high: limits[1] + margin, label: "correlation" },
      y: { low: shown.length - 0.5, high: -0.5 }, rows: shown.map(([, label]) => label),
      entries: [["interval", "95% interval"], ["null", "95% band of the null"]],
      draw: (sx, sy) => [
        svg("line", { class: "zero", x1: sx(0), x2: sx(0), y1: sy.start, y2: sy.end }),
        shown.map(([name, label, low, high, nullLow, nullHigh], i) => {
          const [value, from, to, nullFrom, nullTo] = [name, low, high, nullLow, nullHigh].map((key) => statistics[key]);
          return svg("g", {}, svg("title", {}, `${label}: ${interval(value, from, to)}`),
            finite(nullFrom, nullTo) ? svg("rect", { class: "null", x: sx(nullFrom), y: sy(i) - 10, width: Math.max(1, sx(nullTo) - sx(nullFrom)), height: 20 }) : null,
            finite(from, to) ? svg("line", { class: "interval", x1: sx(from), x2: sx(to), y1: sy(i), y2: sy(i) }) : null,
            svg("circle", { class: "dot", cx: sx(value), cy: sy(i), r: 4.5 }));
        }),
      ],
    });
  };

  /* Activations by length group, each of area 1. */
  layerscope.histogramPlot = (id, file, neuron) => {
    const counts = row(file, "histogram", neuron);
    if (!counts) return null;
    const groups = file.facts.groups;
    const bins = counts.length / groups.length;
    const [low] = row(file, "histogram_low", neuron);
    const [high] = row(file, "histogram_high", neuron);
    const width = (high - low) / bins || 1;
    const densities = groups.map((_, group) => {
      const own = Array.from(counts.subarray(group * bins, (group + 1) * bins));
      const total = own.reduce((sum, n) => sum + n, 0);
      return own.map((n) => n / Math.max(1, total) / width);
    });
    return figure({
      name: `${id}-histogram`, title: "Activations by token length",
      description: `From ${short(low)} to ${short(high)}, by length group.`,
      x: { low, high, label: "activation" },
      y: { low: 0, high: Math.max(...densities.flat()) * 1.05 || 1, label: "density" },
      entries: groups.map(({ name, label }) => [`group ${name}`, label]),
      draw: (sx, sy) => groups.map(({ name, label }, group) => {
        const steps = densities[group].map((density, bin) => `V${sy(density)}H${sx(low + (bin + 1) * width)}`);
        return svg("path", { class: `group ${name}`, d: `M${sx(low)},${sy(0)}${steps.join("")}V${sy(0)}` }, svg("title", {}, label));
      }),
    });
  };

  /* Mean activation at tokens of each length, with its interval. */
  layerscope.lengthPlot = (id, file, neuron) => {
    const { length: lengths, length_tokens: tokens } = file.arrays;
    if (!lengths) return null;
    const [mean, low, high] = ["length_mean", "length_low", "length_high"].map((name) => row(file, name, neuron));
    const shown = Array.from(lengths.keys()).filter((i) => Number.isFinite(mean[i]));
    if (!shown.length) return null;
    const all = shown.flatMap((i) => [mean[i], low[i], high[i]]).filter(Number.isFinite);
    const [least, greatest] = [Math.min(...all), Math.max(...all)];
    const margin = (greatest - least) * 0.05 || 0.5;
    return figure({
      name: `${id}-by-length`, title: "Mean activation by token length",
      description: shown.map((i) => `${lengths[i]}: ${interval(mean[i], low[i], high[i])}`).join("; "),
      x: { low: lengths[shown[0]] - 0.5, high: lengths[shown.at(-1)] + 0.5, label: "token length (characters)" },
      y: { low: least - margin, high: greatest + margin, label: "mean activation" },
      entries: [["interval", "95% interval"]],
      draw: (sx, sy) => [
        svg("path", { class: "through", d: `M${shown.map((i) => `${sx(lengths[i])},${sy(mean[i])}`).join("L")}` }),
        shown.map((i) => svg("g", {},
          svg("title", {}, `${lengths[i]} characters, ${count(tokens[i])} tokens: ${interval(mean[i], low[i], high[i])}`),
          finite(low[i], high[i]) ? svg("line", { class: "interval", x1: sx(lengths[i]), x2: sx(lengths[i]), y1: sy(low[i]), y2: sy(high[i]) }) : null,
          svg("circle", { class: "dot", cx: sx(lengths[i]), cy: sy(mean[i]), r: 3.5 }))),
      ],
    });
  };
}
