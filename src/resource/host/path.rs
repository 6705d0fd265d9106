//! Which paths a resource may name.

/// Why a path cannot be managed, in words.
///
/// Probe answers are lines, and a plan must say where it writes: no control characters, nothing that
/// leads elsewhere than it says.
pub(super) fn problem(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("the path is not absolute");
    }
    if path.len() > 4000 {
        return Some("the path is too long");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') || path.ends_with(char::is_whitespace) {
        return Some("there are control characters, a backslash or white space at the end in the path");
    }
    if path != "/" && path[1..].split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Some("the path is not in its shortest form (`//`, `.`, `..` or a `/` at the end)");
    }
    None
}

/// The directory a path is in.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths() {
        for good in ["/", "/etc", "/etc/a b/c.d", "/opt/..x", "/é"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in ["", "etc", "/etc/", "//etc", "/etc/../x", "/a\nb", "/a\\b", "/a ", "/."] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn parents() {
        assert_eq!((parent("/a/b"), parent("/a"), parent("/")), ("/a", "/", "/"));
    }
}
