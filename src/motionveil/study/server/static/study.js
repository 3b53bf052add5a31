// The pages work without this; it counts what is chosen, and keeps a form from being sent twice.
"use strict";

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (gap, name) => values[name]);

const question = document.querySelector("form[data-needed]");
if (question) {
  const needed = Number(question.dataset.needed);
  const status = question.querySelector("[data-status]");
  const chosen = () => question.querySelectorAll("[name=chosen]:checked").length;
  const tell = () => {
    status.textContent = fill(question.dataset.count, { chosen: chosen(), needed });
  };
  question.addEventListener("change", (event) => {
    if (chosen() > needed) {
      event.target.checked = false;
      status.textContent = question.dataset.tooMany;
    } else {
      tell();
    }
  });
  question.addEventListener("submit", (event) => {
    if (chosen() === needed) return;
    event.preventDefault();
    status.textContent = question.dataset.wrong;
  });
  tell();
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
}

// A page that the browser kept may be out of date, and its form already sent.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const video = document.querySelector("video");
if (video) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    video.autoplay = false;
    video.pause();
  }
  const sources = video.querySelectorAll("source");
  const complain = (fails) => {
    document.querySelector("[data-video-problem]").hidden = !fails;
  };
  sources[sources.length - 1].addEventListener("error", () => complain(true));
  video.addEventListener("error", () => complain(true));
  video.addEventListener("loadeddata", () => complain(false));
  // All of it may have failed before this script ran, and nothing says so again.
  if (video.error || video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) complain(true);
}
