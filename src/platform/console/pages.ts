import { html } from "hono/html";
import type { AppStatus, DeploymentEvent } from "../../contract/types.ts";
import { statusLine } from "../../core/status-line.ts";
import { breakable, type Html, page } from "./page-layout.ts";

/** The page that asks for an API key. `next` is where it leads. */
export function signInPage(next: string, error?: string): Html {
  return page({
    title: "Sign in",
    signedIn: false,
    body: html`<form class="card sign-in" method="post" action="/console/sign-in">
<h1>Sign in</h1>
<input type="hidden" name="next" value="${next}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="off" autofocus required>
${error ? html`<p class="error" role="alert">${error}</p>` : ""}
<p class="dim">At a terminal, <code>appctl open</code> prints a link that signs you in.</p>
<button>Sign in</button>
</form>`,
  });
}

/** Every app of a project and domain. */
export function appsPage(scope: { project: string; domain: string }, apps: AppStatus[]): Html {
  const rows = apps.map(
    (app) => html`<tr>
<td><a href="${new URL(app.consoleUrl).pathname}">${app.name}</a></td>
<td><span class="badge ${app.status}">${app.status}</span></td>
<td><a href="${app.endpoint}">${breakable(app.endpoint)}</a></td>
</tr>`,
  );
  return page({
    title: "Apps",
    signedIn: true,
    crumbs: `${scope.project} / ${scope.domain}`,
    body: html`<h1>Apps</h1>
<section class="card scroll" tabindex="0" aria-label="Apps">${
      apps.length === 0
        ? html`<p class="dim">No app yet. <code>appctl deploy apps app.ts NAME</code> deploys one.</p>`
        : html`<table><thead><tr><th>Name</th><th>Status</th><th>Endpoint</th></tr></thead><tbody>${rows}</tbody></table>`
    }</section>`,
  });
}

/** One app: its state, its address and how to call it, and the status lines of its latest deployment. */
export function appPage(app: AppStatus, events: DeploymentEvent[]): Html {
  const live = app.status === "Deploying";
  const lines = events.map(eventLine);
  return page({
    title: app.name,
    signedIn: true,
    crumbs: `${app.project} / ${app.domain}`,
    live,
    body: html`<h1>${app.name} <span class="badge ${app.status}" id="status">${app.status}</span></h1>
<p class="dim" id="message">${app.message}</p>
<p class="hidden" role="status" id="news">${app.name}: ${app.status}. ${lines.at(-1)?.slice(TIME_WIDTH)}</p>
${live ? html`<noscript><p><a href="${new URL(app.consoleUrl).pathname}">Reload</a></p></noscript>` : ""}
${app.description ? html`<p>${app.description}</p>` : ""}
<section class="card"><h2>Endpoint</h2>
<p><a id="endpoint" href="${app.endpoint}">${breakable(app.endpoint)}</a></p>
<pre id="curl">${breakable(curlFor(app))}</pre>
<p class="dim" id="access">${
      app.requiresAuth ? "The gateway requires an API key." : "Public: the gateway asks for no key."
    }</p>
${app.links.map((link) => html`<p><a href="${linkTo(app, link.path)}">${link.title}</a></p>`)}
</section>
<section class="card"><h2>Latest deployment</h2>
<pre id="events">${breakable(lines.join("\n") || "No deployment yet.")}</pre></section>
<section class="card"><h2>Revision</h2>
<dl>
<dt>Revision</dt><dd><code id="revision">${breakable(app.revision ?? "none is ready yet")}</code></dd>
<dt>Image</dt><dd><code id="image">${breakable(app.image ?? "–")}</code></dd>
<dt>Digest</dt><dd><code id="digest" class="scroll" tabindex="0">${app.digest ?? "–"}</code></dd>
<dt>Updated</dt><dd id="updated">${app.updatedAt}</dd>
</dl></section>
<section class="card scroll" tabindex="0" aria-labelledby="replicas-title"><h2 id="replicas-title">Replicas</h2>
<div id="replicas">${
      app.replicas.length === 0
        ? html`<p class="dim">No replica runs.</p>`
        : html`<table><thead><tr><th>Name</th><th>State</th><th>Restarts</th><th>Since</th></tr></thead><tbody>${app.replicas.map(
            (replica) => html`<tr><td><code>${replica.name}</code></td><td>${replica.state}</td>
<td>${replica.restarts}${replica.lastExit ? html` <span class="dim">(${replica.lastExit})</span>` : ""}</td>
<td><code>${replica.startedAt ?? "–"}</code></td></tr>`,
          )}</tbody></table>`
    }</div></section>`,
  });
}

/** The page for a thing that does not exist. */
export function notFoundPage(message: string): Html {
  return page({
    title: "Not found",
    signedIn: true,
    body: html`<h1>Not found</h1><p class="card">${message}</p><p><a href="/console">All apps</a></p>`,
  });
}

function curlFor(app: AppStatus): string {
  return app.requiresAuth
    ? `curl -H "Authorization: Bearer $APPCTL_API_KEY" ${app.endpoint}/`
    : `curl ${app.endpoint}/`;
}

/** A link's path is the app author's text: only http(s) addresses become links of the page. */
function linkTo(app: AppStatus, path: string): string {
  try {
    const url = new URL(path, `${app.endpoint}/`);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : app.endpoint;
  } catch {
    return app.endpoint; // not an address at all
  }
}

/** Width of the time that a line of an event begins with. */
const TIME_WIDTH = "00:00:00  ".length;

function eventLine(event: DeploymentEvent): string {
  const time = event.time.slice(11, 19);
  if (event.type === "status") return `${time}  ${statusLine(event)}`;
  if (event.type === "succeeded") return `${time}  Deployed ${event.revision} at ${event.endpoint}`;
  const { cause, serving, revision } = event;
  const still = serving && serving !== revision ? `. Revision ${serving} still serves` : "";
  return `${time}  Failed: ${cause.message}${cause.hint ? ` (${cause.hint})` : ""}${still}`;
}
