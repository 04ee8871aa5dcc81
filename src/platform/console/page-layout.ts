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
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0 .25rem;display:flex;align-items:center;gap:.75rem;flex-wrap:wrap}
h2{font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);margin:0 0 .6rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.25rem;margin:1rem 0}
.badge{font-size:.8rem;font-weight:600;padding:.15rem .6rem;border-radius:99px;border:1px solid currentColor}
.Running{color:var(--ok)}.Deploying,.Stopped{color:var(--warn)}.Failed,.Crashing{color:var(--bad)}
.dim{color:var(--dim)}
pre{font:13px/1.6 var(--mono);margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.25rem;margin:0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
code{font:13px var(--mono)}
table{border-collapse:collapse;width:100%}th{text-align:left;color:var(--dim);font-weight:500}
td,th{padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}tr:last-child td{border-bottom:0}
.scroll{overflow-x:auto}
form.sign-in{max-width:28rem;margin:4rem auto}
label{display:block;font-weight:600;margin-bottom:.4rem}
input[type=password]{width:100%;padding:.6rem .7rem;font:14px var(--mono);border:1px solid var(--line);border-radius:7px;background:var(--bg);color:var(--fg)}
button{font:inherit;font-weight:600;padding:.5rem 1rem;border-radius:7px;border:1px solid var(--accent);background:var(--accent);color:var(--card);cursor:pointer;margin-top:1rem}
button.quiet{background:none;color:var(--dim);border-color:var(--line);margin:0;font-weight:400;padding:.25rem .7rem}
.error{color:var(--bad)}
`;

/** The one style sheet is in the page; the policy allows it by its hash, and no script at all. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A whole page. `refreshSeconds`: the page loads itself again, while something is under way. */
export function page(options: {
  title: string;
  body: Html;
  crumbs?: string;
  signedIn: boolean;
  refreshSeconds?: number;
}): Html {
  const { title, body, crumbs, signedIn, refreshSeconds } = options;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${refreshSeconds ? html`<meta http-equiv="refresh" content="${refreshSeconds}">` : ""}
<title>${title} · appctl</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header>
<a class="home" href="/console">appctl</a>
<nav>${crumbs ?? ""}</nav>
${signedIn ? html`<form method="post" action="/console/sign-out"><button class="quiet">Sign out</button></form>` : ""}
</header>
<main>${body}</main>
</body>
</html>
`;
}
