// Submitting with a bar that moves, and by dropping a file. Without this script the form works all the same.
"use strict";
(() => {
  let sending = null;

  const find = (id) => document.getElementById(id);

  function say(text) {
    if (find("sent-text").textContent !== text) find("sent-text").textContent = text;
  }

  function showSent(share) {
    find("sending").hidden = share === null;
    if (share !== null) find("sent").value = share;
  }

  // The form again, with what is wrong in it. What is no form takes the place of none: it would be lost with its file.
  function show(html, status) {
    const page = new DOMParser().parseFromString(html, "text/html");
    if (!page.getElementById("submit")) {
      const fault = page.querySelector("#content .fault");
      return say(fault ? fault.textContent : `The server answered ${status}; try again.`);
    }
    find("content").replaceWith(document.adoptNode(page.getElementById("content")));
    attach();
    const faults = find("faults");
    if (faults) faults.focus();
  }

  function ended(text) {
    sending = null;
    showSent(null);
    say(text);
  }

  function send(form, address, counting) {
    if (sending) return say("It is being sent; stop it first.");
    const file = find("checkpoint").files[0];
    if (file && file.size > Number(form.dataset.limit)) return say("The file is larger than this server takes.");
    const request = new XMLHttpRequest();
    sending = request;
    find("signed-out").hidden = true;
    request.open("POST", address);
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      showSent(event.loaded / event.total);
      if (event.loaded === event.total) say("All is sent; waiting for the answer.");
    };
    request.onload = () => {
      ended("");
      if (request.status < 400) window.location.assign(request.responseURL + (counting ? "#counted" : ""));
      else if (request.status === 401) find("signed-out").hidden = false;
      else show(request.responseText, request.status);
    };
    request.onerror = () => ended("The connection broke. Send it again: what was queued already is not queued twice.");
    request.onabort = () => ended("Stopped; nothing was queued.");
    request.send(new FormData(form));
    showSent(0);
    say("Sending.");
  }

  // Whether a control is not as it came.
  function changed(control) {
    if (control.type === "file") return control.files.length > 0;
    if (control.type === "checkbox") return control.checked !== control.defaultChecked;
    if (control.options) return [...control.options].some((option) => option.selected !== option.defaultSelected);
    return control.defaultValue !== undefined && control.value !== control.defaultValue;
  }

  function attach() {
    const form = find("submit");
    const file = find("checkpoint");
    const drop = find("drop");
    if (!form || !file || !drop) return;
    const count = find("count");
    const counts = (button) => button && button.getAttribute("formaction") === "/ui/submit/count";
    if (find("at-once")) find("at-once").hidden = false;
    find("stop").addEventListener("click", () => sending && sending.abort());
    form.addEventListener("submit", (event) => {
      if (event.submitter && event.submitter.classList.contains("tab")) return;
      event.preventDefault();
      const counting = counts(event.submitter);
      send(form, counting ? "/ui/submit/count" : form.getAttribute("action"), counting);
    });
    const stale = find("stale");
    const look = () => {
      if (stale) stale.hidden = ![...form.elements].some(changed);
    };
    for (const name of ["input", "change"]) form.addEventListener(name, look);
    look();
    const chosen = () => {
      if (file.files.length && count) form.requestSubmit(count);
    };
    file.addEventListener("change", chosen);
  }

  // A file may be dropped anywhere: a browser would leave the form, and show the file, where nobody catches it.
  function brings(event) {
    return find("drop") && event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  }

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!brings(event)) return;
      event.preventDefault();
      find("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (find("drop") && !event.relatedTarget) find("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    find("drop").classList.remove("over");
    if (event.dataTransfer.files.length > 1) return say("One file at a time, please.");
    const file = find("checkpoint");
    file.files = event.dataTransfer.files;
    file.dispatchEvent(new Event("change"));
  });

  attach();
  // What was put in comes back with the page after its scripts have run.
  window.addEventListener("pageshow", () => find("submit") && find("submit").dispatchEvent(new Event("change")));
})();
