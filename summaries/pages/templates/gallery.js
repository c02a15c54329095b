(() => {
  const viewer = document.getElementById("viewer");
  const pair = viewer.querySelector(".pair");
  const caption = viewer.querySelector("p");
  let plates = [];
  let place = 0;

  const picture = (source, text) => {
    const image = document.createElement("img");
    image.src = source;
    image.alt = text;
    return image;
  };
  const show = (next) => {
    place = (next + plates.length) % plates.length;
    const plate = plates[place];
    const photo = plate.dataset.photo;
    const drawn = picture(plate.href, plate.querySelector("img").alt);
    pair.replaceChildren(drawn, ...(photo ? [picture(photo, "The photograph")] : []));
    caption.textContent = plate.dataset.caption;
  };
  document.addEventListener("click", (event) => {
    const plate = event.target.closest("a.plate[data-caption]");
    if (!plate || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    plates = [...plate.closest("[data-set]").querySelectorAll("a.plate[data-caption]")];
    show(plates.indexOf(plate));
    viewer.showModal();
  });
  viewer.addEventListener("click", (event) => {
    const step = event.target.dataset.step;
    if (step) show(place + Number(step));
    else if (!event.target.closest(".foot p")) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(place + step);
  });
  viewer.addEventListener("close", () => pair.replaceChildren());

  const order = document.getElementById("order");
  const photos = document.querySelector(".photos");
  if (order && photos) {
    const given = [...photos.children];
    const drop = (card) => Number(card.dataset.drop);
    const sort = () => {
      const cards = [...given];
      if (order.value === "falling") cards.sort((a, b) => drop(b) - drop(a));
      if (order.value === "rising") cards.sort((a, b) => drop(a) - drop(b));
      photos.append(...cards);
    };
    order.addEventListener("change", sort);
    sort();
  }
})();
