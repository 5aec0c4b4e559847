//! `POST /embeddings`, as OpenAI defines it and others serve it
//! (<https://platform.openai.com/docs/api-reference/embeddings>).

use reqwest::Response;
use serde::{Deserialize, Serialize};

use super::EmbedError;
use crate::store::Embedding;

/// Bytes of an answer: far more than a batch of the longest vectors there are.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Bytes of an endpoint's complaint that are kept.
const MAX_SAID: usize = 300;
const MAX_DIMENSIONS: usize = 16 * 1024;

#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub model: &'a str,
    pub input: &'a [&'a str],
    pub encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors of a batch of `count` texts, in its order.
pub(super) async fn read(
    mut response: Response,
    model: &str,
    count: usize,
) -> Result<Vec<Embedding>, EmbedError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER {
            return Err(EmbedError::Malformed(format!("it is longer than {MAX_ANSWER} bytes")));
        }
    }
    if !status.is_success() {
        let text = String::from_utf8_lossy(&body);
        let said = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SAID).collect();
        return Err(EmbedError::Refused { status, said });
    }
    vectors(&body, model, count)
}

fn vectors(body: &[u8], model: &str, count: usize) -> Result<Vec<Embedding>, EmbedError> {
    let malformed = |why: String| Err(EmbedError::Malformed(why));
    let Answer { mut data } = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => return malformed(error.to_string()),
    };
    data.sort_by_key(|item| item.index);
    if data.len() != count || data.iter().enumerate().any(|(place, item)| item.index != place) {
        return malformed(format!(
            "it has {} vectors for {count} texts, or others than asked for",
            data.len()
        ));
    }
    let dimensions = data.first().map_or(0, |item| item.embedding.len());
    if data.iter().any(|item| item.embedding.len() != dimensions)
        || !(1..=MAX_DIMENSIONS).contains(&dimensions)
    {
        return malformed("its vectors are empty, too long or of different lengths".to_owned());
    }
    data.into_iter()
        .map(|item| {
            let vector = unit(item.embedding).ok_or_else(|| {
                EmbedError::Malformed("a vector has no direction, or is not of numbers".to_owned())
            })?;
            Ok(Embedding { model: model.to_owned(), vector })
        })
        .collect()
}

/// The same direction at length 1.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    for x in &mut vector {
        *x = (f64::from(*x) / length) as f32;
    }
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_in_the_order_of_the_texts_and_at_length_one() {
        let body = r#"{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}],"usage":{}}"#;
        let found = vectors(body.as_bytes(), "m", 2).expect("read");
        assert_eq!(found[0].vector, [0.6, 0.8]);
        assert_eq!(found[1].vector, [0.0, 1.0]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_refused() {
        for body in [
            "",
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":[{"index":0,"embedding":[]}]}"#,
            r#"{"data":[{"index":0,"embedding":[0,0]}]}"#,
            r#"{"data":[{"index":1,"embedding":[1,0]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1e39]}]}"#,
            r#"{"data":[{"index":0,"embedding":"AAAA"}]}"#,
        ] {
            assert!(matches!(vectors(body.as_bytes(), "m", 1), Err(EmbedError::Malformed(_))), "{body}");
        }
    }
}
