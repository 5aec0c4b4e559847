//! What a person types to search for, as FTS5 understands it (<https://www.sqlite.org/fts5.html#full_text_query_syntax>).

/// Terms that one search may have: each costs a look into the index.
const MAX_TERMS: usize = 32;

/// Words, "phrases" and beginnings*, all of which must be there. Each becomes an FTS5 string, in which
/// nothing is syntax, so that no input is an error: what is no letter or digit only parts words.
/// `None`: there is nothing to look for.
pub(super) fn match_expression(typed: &str) -> Option<String> {
    let terms: Vec<String> = terms(typed).into_iter().take(MAX_TERMS).collect();
    (!terms.is_empty()).then(|| terms.join(" "))
}

fn terms(typed: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for (index, part) in typed.split('"').enumerate() {
        // Every second part stands between quotation marks; the last may lack its closing one.
        if index % 2 == 1 {
            terms.extend(term(part, false));
        } else {
            terms.extend(part.split_whitespace().filter_map(|word| match word.strip_suffix('*') {
                Some(beginning) => term(beginning, true),
                None => term(word, false),
            }));
        }
    }
    terms
}

fn term(text: &str, beginning: bool) -> Option<String> {
    if !text.contains(char::is_alphanumeric) {
        return None;
    }
    let text = text.replace('\0', " ");
    Some(format!("\"{text}\"{}", if beginning { "*" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_terms_and_never_syntax() {
        for (typed, expression) in [
            ("login", r#""login""#),
            ("  login   flaky ", r#""login" "flaky""#),
            (r#""flaky login" test"#, r#""flaky login" "test""#),
            ("log*", r#""log"*"#),
            (r#"un"closed quote"#, r#""un" "closed quote""#),
            ("a AND NOT b", r#""a" "AND" "NOT" "b""#),
            ("content:x", r#""content:x""#),
            ("(x) ^y -z", r#""(x)" "^y" "-z""#),
            ("x\0y", "\"x y\""),
        ] {
            assert_eq!(match_expression(typed).as_deref(), Some(expression), "{typed:?}");
        }
        for nothing in ["", "  ", "*", "\"\"", "-- ** ()", "\"...\"", "\0"] {
            assert_eq!(match_expression(nothing), None, "{nothing:?}");
        }
    }
}
