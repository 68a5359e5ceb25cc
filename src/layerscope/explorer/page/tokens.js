"use strict";
/* Tokens as text in which everything shows: spaces, line ends, bytes, and characters that would turn or hide others. */
{
  const { element } = layerscope;
  const PARTIAL = 1, SPECIAL = 2;
  const NONE = 0xFFFFFFFF;
  const MARKS = new Map([[" ", "·"], ["\n", "↵"], ["\t", "⇥"]]);
  const UNSEEN = /[\p{C}\p{Z}\u115f\u1160\u3164\uffa0\u2800\ufe00-\ufe0f\u034f]/u;
  const COMBINING = /^\p{M}/u;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const texts = new WeakMap(); // vocabulary → texts of all its tokens, made when they are first searched

  const bytesOf = ({ arrays: { bytes, ends } }, id) => bytes.subarray(id ? ends[id - 1] : 0, ends[id]);
  const hex = (number, digits) => number.toString(16).padStart(digits, "0");

  /* Parts of a token: [kind, text]; kinds are text, mark, code (a code point), byte, special. */
  const partsOf = (vocabulary, id) => {
    const bytes = bytesOf(vocabulary, id);
    const flags = vocabulary.arrays.flags[id];
    if (flags & PARTIAL) return [["byte", `⟨${Array.from(bytes, (byte) => hex(byte, 2)).join(" ")}⟩`]];
    const parts = [];
    for (const character of decoder.decode(bytes)) {
      const kind = MARKS.has(character) ? "mark" : UNSEEN.test(character) ? "code" : "text";
      const shown = kind === "mark" ? MARKS.get(character)
        : kind === "code" ? `U+${hex(character.codePointAt(0), 4).toUpperCase()}` : character;
      if (kind === "text" && parts.at(-1)?.[0] === "text") parts.at(-1)[1] += shown;
      else parts.push([kind, kind === "text" && COMBINING.test(shown) ? `◌${shown}` : shown]);
    }
    if (!parts.length) parts.push(["code", "empty"]);
    return flags & SPECIAL ? [["special", parts.map(([, text]) => text).join("")]] : parts;
  };

  const textsOf = (vocabulary) => {
    if (!texts.has(vocabulary)) {
      const { ends, flags } = vocabulary.arrays;
      texts.set(vocabulary, Array.from(ends, (_, id) => (flags[id] & PARTIAL ? null : decoder.decode(bytesOf(vocabulary, id)))));
    }
    return texts.get(vocabulary);
  };

  Object.assign(layerscope, {
    NONE,
    vocabularyOf: (model) => layerscope.load(`vocabulary/${model.tokenizer}`),

    /* A token as an element. */
    tokenElement: (vocabulary, id, properties = {}) =>
      element("span", { ...properties, class: `token ${properties.class ?? ""}` },
        partsOf(vocabulary, id).map(([kind, text]) => (kind === "text" ? text : element("span", { class: kind }, text)))),

    /* A token as a text of one line. */
    tokenText: (vocabulary, id) =>
      partsOf(vocabulary, id).map(([kind, text]) => (kind === "code" ? `[${text}]` : text)).join(""),

    /* Token types that a reader may mean by a text: [those that are it, with a space before it or not; those that
       contain it]. A number after # is the token's id. */
    findTokens: (vocabulary, query) => {
      const all = textsOf(vocabulary);
      const numbered = /^#(\d+)$/.exec(query);
      if (numbered) return [Number(numbered[1]) < all.length ? [Number(numbered[1])] : [], []];
      const wanted = query.replaceAll("·", " ").replaceAll("↵", "\n").replaceAll("⇥", "\t");
      const same = [], containing = [];
      all.forEach((text, id) => {
        if (text === wanted || text === ` ${wanted}`) same.push(id);
        else if (text?.includes(wanted)) containing.push(id);
      });
      return [same, containing];
    },
  });
}
