// Passkeys: the one thing here that cannot be done without a script. It asks the server what to ask the browser, and sends the
// browser's answer as a form.

const known = typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";
const ask = {
  create: async (options) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: async (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};

for (const button of document.querySelectorAll("[data-passkey]")) {
  if (!known) break;
  const form = document.getElementById(button.dataset.form);
  const said = form.querySelector("[data-passkey-said]");
  button.hidden = false;
  // A form without a button that sends it is sent by the Enter key all the same: without a passkey.
  if (button.dataset.passkey === "create") form.addEventListener("submit", (event) => { event.preventDefault(); button.click(); });
  button.addEventListener("click", async () => {
    if (button.dataset.passkey === "create" && !form.reportValidity()) return;
    said.textContent = "Follow what your browser asks.";
    try {
      const body = new URLSearchParams({ csrf: form.elements.csrf.value });
      const answer = await fetch(button.dataset.begin, { method: "POST", body, headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const { options, state } = await answer.json();
      const credential = await ask[button.dataset.passkey](options);
      form.elements["passkey-state"].value = state;
      form.elements.passkey.value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      said.textContent = {
        NotAllowedError: "It was cancelled, or it took too long. Try again.",
        InvalidStateError: "That device has a passkey for your account already.",
      }[error.name] ?? "It did not work. Load the page again and try once more.";
    }
  });
}
if (known) document.querySelectorAll("[data-passkey-missing]").forEach((notice) => { notice.hidden = true; });
