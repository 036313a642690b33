// In a page of yours: show the cut-out of the file that somebody chose.
const input = document.querySelector("input[type=file]");
const image = document.querySelector("img");

input.addEventListener("change", async () => {
  const form = new FormData();
  form.append("image", input.files[0]);
  const answer = await fetch("http://localhost:8000/rmbg", {
    method: "POST",
    body: form,
  });
  if (!answer.ok) throw new Error((await answer.json()).error);
  image.src = URL.createObjectURL(await answer.blob());
});
