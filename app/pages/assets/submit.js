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

  function attach() {
    const form = find("submit");
    const file = find("checkpoint");
    const drop = find("drop");
    if (!form || !file || !drop) return;
    const count = find("count");
    if (find("at-once")) find("at-once").hidden = false;
    find("stop").addEventListener("click", () => sending && sending.abort());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const counting = event.submitter === count && count !== null;
      send(form, counting ? count.getAttribute("formaction") : form.getAttribute("action"), counting);
    });
    const chosen = () => {
      if (file.files.length && count) form.requestSubmit(count);
    };
    file.addEventListener("change", chosen);
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length > 1) return say("One file at a time, please.");
      if (event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        chosen();
      }
    });
  }

  attach();
})();
