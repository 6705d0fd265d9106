//! The portal's page.

/// The page, with the release and who may sign in.
pub fn html(version: &str, kind: Option<&str>, healthcheck: bool) -> String {
    let who = match kind {
        None => "everybody",
        Some("admin") => "instance and organisation administrators",
        Some("instadmin") => "instance administrators",
        Some("orgadmin") => "organisation administrators",
        Some(_) => "members and organisation administrators",
    };
    let health = if healthcheck {
        r#"<a href="/api/healthcheck">state of the services</a>"#
    } else {
        "not shown here (HEALTHCHECK_ENABLE)"
    };
    TEMPLATE
        .replace("{version}", &escape(version))
        .replace("{type}", &escape(kind.unwrap_or("default")))
        .replace("{who}", who)
        .replace("{health}", health)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const TEMPLATE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reemo demo portal</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2433; --soft: #5b6478; --paper: #f4f6fa; --card: #fff; --accent: #2f6fed; }
  @media (prefers-color-scheme: dark) { :root { --ink: #eef1f7; --soft: #a4adc0; --paper: #12151d; --card: #1b202c; } }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
         color: var(--ink); font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  main { width: 100%; max-width: 34rem; padding: 2.5rem; border-radius: 1rem; background: var(--card);
         border-top: .35rem solid var(--accent); box-shadow: 0 1rem 3rem rgba(0, 0, 0, .08); }
  h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
  p { margin: .5rem 0 1.5rem; color: var(--soft); }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.5rem; margin: 0; }
  dt { color: var(--soft); } dd { margin: 0; }
  a { color: var(--accent); }
</style>
</head>
<body>
<main>
  <h1>Reemo demo portal</h1>
  <p>A stand-in for the portal, on a platform that is otherwise real.</p>
  <dl>
    <dt>Version</dt><dd>{version}</dd>
    <dt>Portal type</dt><dd>{type}</dd>
    <dt>May sign in</dt><dd>{who}</dd>
    <dt>Health</dt><dd>{health}</dd>
  </dl>
</main>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_release_and_type() {
        let page = html("2.12.6", Some("admin"), true);
        assert!(
            page.contains("<dd>2.12.6</dd>") && page.contains("<dd>admin</dd>") && page.contains("/api/healthcheck")
        );
        assert!(!html("1", None, false).contains("href"));
        assert!(html("<b>", None, false).contains("&lt;b&gt;"));
    }
}
