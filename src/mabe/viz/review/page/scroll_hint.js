"use strict";
// Tables that are wider than their place: said, faded where they go on, and reached by the
// tab key. A plain script, so that the report can hold it.
const showScroll = (box) => {
  const isWide = box.scrollWidth > box.clientWidth + 1, isTall = box.scrollHeight > box.clientHeight + 1;
  box.classList.toggle("sideways", isWide);
  box.classList.toggle("more", isWide && box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  if (isWide || isTall) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
};
const scrollSizes = new ResizeObserver((entries) => entries.forEach(({ target }) => showScroll(target.closest(".scroll"))));
for (const box of document.querySelectorAll(".scroll")) {
  box.addEventListener("scroll", () => showScroll(box), { passive: true });
  scrollSizes.observe(box);
  for (const each of box.children) scrollSizes.observe(each);
}
