import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

/** A piece of a page; text in it is escaped. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const STYLE = `
:root{color-scheme:light dark;--fg:#1b1f24;--dim:#5b6570;--bg:#f6f7f9;--card:#fff;--line:#dfe3e8;--accent:#0b62d6;
--ok:#127a3e;--warn:#9a6200;--bad:#b3261e;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media(prefers-color-scheme:dark){:root{--fg:#e7eaee;--dim:#98a2ad;--bg:#14171b;--card:#1c2026;--line:#2e343c;
--accent:#7ab2ff;--ok:#5fce8b;--warn:#e6b450;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--fg);background:var(--bg)}
header,main{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;align-items:center;gap:1rem;padding-top:1.25rem;padding-bottom:1.25rem}
header a.home{font-weight:700;color:var(--fg);text-decoration:none;font-size:1.05rem}
header nav{color:var(--dim);flex:1}
a{color:var(--accent)}
h1{overflow-wrap:break-word;min-width:0;font-size:1.6rem;line-height:1.2;margin:.5rem 0 .25rem;display:flex;align-items:center;gap:.75rem;flex-wrap:wrap}
h2{font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);margin:0 0 .6rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.25rem;margin:1rem 0}
.badge{font-size:.8rem;font-weight:600;padding:.15rem .6rem;border-radius:99px;border:1px solid currentColor}
.Running{color:var(--ok)}.Deploying,.Stopped{color:var(--warn)}.Failed,.Crashing{color:var(--bad)}
.dim{color:var(--dim)}
pre{font:13px/1.6 var(--mono);margin:0;white-space:pre-wrap;overflow-wrap:break-word}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.25rem;margin:0}
dt{color:var(--dim)}dd{margin:0;min-width:0;overflow-wrap:break-word}
code{font:13px var(--mono)}
table{border-collapse:collapse;width:100%}th{text-align:left;color:var(--dim);font-weight:500}
td,th{padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.scroll{overflow-x:auto;display:block}td code,code.scroll{white-space:nowrap}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
form.sign-in{max-width:28rem;margin:4rem auto}
label{display:block;font-weight:600;margin-bottom:.4rem}
input[type=password]{width:100%;padding:.6rem .7rem;font:14px var(--mono);border:1px solid var(--line);border-radius:7px;background:var(--bg);color:var(--fg)}
button{font:inherit;font-weight:600;padding:.5rem 1rem;border-radius:7px;border:1px solid var(--accent);background:var(--accent);color:var(--card);cursor:pointer;margin-top:1rem}
button.quiet{background:none;color:var(--dim);border-color:var(--line);margin:0;font-weight:400;padding:.25rem .7rem}
.error{color:var(--bad)}
@media(max-width:30rem){header,main{padding-left:.75rem;padding-right:.75rem}.card{padding:.9rem .75rem}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.6rem}}
`;

/**
 * Keeps the page of something unfinished up to date: reads it again, and puts what is new into the elements with an `id`.
 * The rest of the page stays, and with it focus, selection and scroll position. It ends when the page says no more that
 * it is live.
 */
const SCRIPT = `
const update = async () => {
  let live = true;
  try {
    if (document.hidden) return;
    const response = await fetch(location.href, { cache: "no-store" });
    if (response.redirected || response.status === 404) return location.reload();
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const now of page.querySelectorAll("main [id]")) {
      const shown = document.getElementById(now.id);
      if (!shown || shown.innerHTML === now.innerHTML) continue;
      shown.className = now.className;
      shown.replaceChildren(...now.childNodes);
    }
    live = page.querySelector("main[data-live]") !== null;
  } catch {
    // The platform is away: the next try finds it.
  } finally {
    if (live) setTimeout(update, 2000);
  }
};
setTimeout(update, 2000);
`;

const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Style sheet and script are in the page; the policy allows these two by their hashes, and requests to the platform alone. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** `text` with places to wrap a line inside of URLs and names: after `/`, `.` and `-`. */
export function breakable(text: string): Html {
  return html`${text.split(/(?<=[/.]|\w-)(?=\w)/).map((part, at) => (at === 0 ? part : html`<wbr>${part}`))}`;
}

/** A whole page. `live`: it keeps itself up to date, while something is under way. */
export function page(options: { title: string; body: Html; crumbs?: string; signedIn: boolean; live?: boolean }): Html {
  const { title, body, crumbs, signedIn, live } = options;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · appctl</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header>
<a class="home" href="/console">appctl</a>
<nav>${crumbs ?? ""}</nav>
${signedIn ? html`<form method="post" action="/console/sign-out"><button class="quiet">Sign out</button></form>` : ""}
</header>
<main${live ? raw(" data-live") : ""}>${body}</main>
${live ? html`<script>${raw(SCRIPT)}</script>` : ""}
</body>
</html>
`;
}
