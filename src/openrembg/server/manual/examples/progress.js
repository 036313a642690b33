const form = document.querySelector("#cut-out");
const bar = document.querySelector("#progress");
const state = document.querySelector("#state");
const result = document.querySelector("#result");

function show(text, share) {
  state.textContent = text;
  // Without a value, the bar shows that something is going on.
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

async function finish(request) {
  if (request.status === 200) {
    result.src = URL.createObjectURL(request.response);
    show("Done", 1);
    return;
  }
  const { error } = JSON.parse(await request.response.text());
  show(error, 0);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open("POST", "http://localhost:8000/rmbg");
  request.responseType = "blob";
  request.upload.onprogress = ({ loaded, total }) => show("Sending", loaded / total);
  request.upload.onload = () => show("Computing");
  request.onprogress = ({ loaded, total }) => show("Receiving", loaded / total);
  request.onload = () => finish(request);
  request.onerror = () => show("The connection broke. Please try again.", 0);
  request.send(new FormData(form));
});
