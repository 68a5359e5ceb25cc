"use strict";
/* The page as a whole: which view is shown, what went wrong, and light or dark. */
{
  const { element, manifest, link, Problem, count } = layerscope;
  const views = { map: layerscope.mapView, neuron: layerscope.neuronView, table: layerscope.tableView };
  const main = document.getElementById("main");
  const status = document.getElementById("status");
  const problem = document.getElementById("problem");
  const navigation = document.getElementById("views");
  let turn = 0;

  const say = (error) => {
    if (!(error instanceof Problem)) console.error(error);
    problem.textContent = error instanceof Problem ? error.message : `This cannot be shown: ${error.message}.`;
  };

  const links = [["map", "Map"], ["neuron", "Neuron"], ["table", "Table"]].map(([view, text]) => [view, element("a", {}, text)]);
  navigation.append(...links.map(([, anchor]) => anchor));
  const showNavigation = (state) => {
    for (const [view, anchor] of links) {
      anchor.href = link({ view });
      if (view === state.view) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
  };

  /* Show what the address says. */
  layerscope.show = async () => {
    const mine = ++turn;
    const alive = () => mine === turn;
    const state = layerscope.state();
    const mistake = layerscope.mistakeIn(state);
    problem.textContent = mistake ?? "";
    layerscope.hideTooltip();
    const view = views[state.view] ?? views.map;
    const moved = turn > 1 && document.getElementById(state.view)?.hidden;
    for (const [name, other] of Object.entries(views)) {
      document.getElementById(name).hidden = other !== view;
      if (other !== view) other.clear();
    }
    showNavigation(state);
    if (moved) scrollTo(0, 0);
    // What was pressed, such as a row of the table, may be gone.
    const focus = document.activeElement;
    if (moved && (focus === document.body || !focus.checkVisibility())) main.focus({ preventScroll: true });
    if (mistake) return view.clear();
    document.title = `${view.title(state)} – layerscope explorer`;
    main.setAttribute("aria-busy", "true");
    const waited = setTimeout(() => (status.textContent = "Loading"), 200);
    try {
      await view.show(state, alive);
    } catch (error) {
      if (alive()) {
        view.clear();
        say(error);
      }
    } finally {
      clearTimeout(waited);
      if (alive()) {
        status.textContent = "";
        main.removeAttribute("aria-busy");
      }
    }
  };

  const themes = ["auto", "dark", "light"];
  const button = document.getElementById("theme");
  // Storage may be forbidden to a page that is opened from disk.
  const stored = () => {
    try {
      return localStorage.getItem("layerscope-theme");
    } catch {
      return null;
    }
  };
  const setTheme = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try {
      localStorage.setItem("layerscope-theme", theme);
    } catch {
      return;
    }
  };
  const repaint = () => layerscope.state().view === "map" && layerscope.redrawMap();
  button.addEventListener("click", () => {
    setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
    repaint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  setTheme(themes.includes(stored()) ? stored() : "auto");

  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address after # is taken
    main.focus();
  });
  const neurons = [...layerscope.models.values()].reduce((sum, model) => sum + model.count, 0);
  document.getElementById("about").textContent =
    `Corpus: ${manifest.corpus}. ${manifest.models.length} models, ${count(neurons)} neurons. layerscope ${manifest.layerscope_version}.`;
  addEventListener("hashchange", layerscope.show);
  layerscope.show();
}
