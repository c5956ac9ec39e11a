(() => {
  const stage = document.querySelector("main");
  const picture = stage.querySelector("svg");
  const width = picture.viewBox.baseVal.width, height = picture.viewBox.baseVal.height;
  const least = 0.05, most = 4, readable = 0.55;
  const view = { x: 0, y: 0, k: 1 };
  stage.classList.add("moving");
  document.querySelector(".zoom").hidden = false;
  const show = () => { picture.style.transform = `translate(${view.x}px,${view.y}px) scale(${view.k})`; };
  const zoom = (factor, x, y) => {
    const k = Math.min(most, Math.max(least, view.k * factor));
    view.x = x - (x - view.x) * k / view.k;
    view.y = y - (y - view.y) * k / view.k;
    view.k = k;
    show();
  };
  const centre = factor => zoom(factor, stage.clientWidth / 2, stage.clientHeight / 2);
  const stand = k => {
    view.k = k;
    view.x = (stage.clientWidth - width * k) / 2;
    view.y = Math.max(0, (stage.clientHeight - height * k) / 2);
    show();
  };
  const whole = () => Math.min(1, stage.clientWidth / width, stage.clientHeight / height);
  const actions = { in: () => centre(1.3), out: () => centre(1 / 1.3), fit: () => stand(whole()), one: () => stand(1) };
  document.querySelectorAll("[data-zoom]").forEach(b => b.addEventListener("click", actions[b.dataset.zoom]));
  const at = e => { const r = stage.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  stage.addEventListener("wheel", e => {
    e.preventDefault();
    zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), ...at(e));
  }, { passive: false });
  const fingers = new Map();
  stage.addEventListener("pointerdown", e => { fingers.set(e.pointerId, at(e)); stage.setPointerCapture(e.pointerId); });
  stage.addEventListener("pointermove", e => {
    const before = fingers.get(e.pointerId);
    if (!before) return;
    const now = at(e);
    const other = [...fingers].find(([id]) => id !== e.pointerId);
    if (other) {
      const far = p => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]);
      zoom(far(now) / Math.max(1, far(before)), ...other[1]);
    } else {
      view.x += now[0] - before[0];
      view.y += now[1] - before[1];
      show();
    }
    fingers.set(e.pointerId, now);
  });
  ["pointerup", "pointercancel"].forEach(name => stage.addEventListener(name, e => fingers.delete(e.pointerId)));
  addEventListener("keydown", e => ({ "+": actions.in, "-": actions.out, "0": actions.fit }[e.key] || (() => {}))());
  stand(Math.max(whole(), Math.min(1, Math.max(stage.clientWidth / width, readable))));
})();
