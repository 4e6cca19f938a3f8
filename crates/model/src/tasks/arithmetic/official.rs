//! Files of word problems with annotated steps: GSM8K's (openai/grade-school-math, MIT), iCoT's
//! (Deng et al., arXiv 2405.14838) and what Coconut's `preprocessing/gsm_icot.py` makes of those.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ExpressionError, Problem, Step, evaluate};
use crate::tasks::{
    Format,
    file::{Entries, Entry, fields, json_array, json_lines, lines},
};

pub(super) const FORMATS: [Format; 3] = [
    Format {
        name: "GSM8K's lines of {\"question\": …, \"answer\": \"… <<48/2=24>>24 … #### 24\"}",
        fits: |text| text.starts_with('{'),
        entries: json_lines,
        problem: read_entry,
    },
    Format {
        name: "Coconut's JSON array of {\"question\", \"answer\", \"steps\": [\"<<48/2=24>>\", …]}",
        fits: |text| text.starts_with('['),
        entries: json_array,
        problem: read_entry,
    },
    Format {
        name: "iCoT's lines of question||<<48/2=24>> … #### 24",
        fits: |text| text.lines().next().is_some_and(|line| line.contains("||")),
        entries: icot_lines,
        problem: read_entry,
    },
];

/// Why a problem is left out: what this project does not compute, or what is wrong with it.
mod reason {
    pub const NO_ANNOTATION: &str = "without an annotation such as <<48/2=24>>";
    pub const SEVERAL_EQUALS: &str = "with more than one = in an annotation";
    pub const PERCENT: &str = "with a percentage";
    pub const NOT_WHOLE: &str = "with a number that is not whole";
    pub const OTHER_SIGNS: &str = "with other signs in an annotation than numbers and + - * / ( )";
    pub const WRONG_STEP: &str = "with a step whose result is not what its expression gives";
    pub const CURRENCY: &str = "with a sign of currency in the answer";
    pub const ANSWER: &str = "with an answer that is not written as a whole number";
}

/// A problem in any of the formats; where there are no `steps`, the answer holds them.
#[derive(Deserialize)]
struct Official {
    question: String,
    answer: String,
    steps: Option<Vec<String>>,
}

/// `question||<<8+7=15>> #### 15` as the objects of the other formats.
fn icot_lines(text: &str) -> Result<Entries, String> {
    let entry = |line: &str| match line.split_once("||") {
        Some((question, answer)) => Ok(json!({"question": question.trim(), "answer": answer})),
        None => Err(format!("expected question||answer, found {line:?}")),
    };
    Ok(lines(text)
        .map(|(place, line)| (place, entry(line)))
        .collect())
}

fn read_entry(value: Value) -> Result<Entry, String> {
    let official: Official = fields(value)?;
    let (solution, answer) = match &official.steps {
        Some(steps) => (steps.concat(), official.answer.as_str()),
        None => {
            let parts = official.answer.rsplit_once("####");
            let (solution, answer) =
                parts.ok_or("expected an answer that ends with \"#### NUMBER\", found no ####")?;
            (solution.to_string(), answer)
        }
    };
    let annotations = annotations(&solution)?;
    let problem = || {
        let steps: Vec<Step> = annotations
            .iter()
            .map(|text| step(text))
            .collect::<Result<_, _>>()?;
        let answer = whole_answer(answer)?;
        if steps.is_empty() {
            return Err(reason::NO_ANNOTATION);
        }
        Ok(Problem {
            question: official.question.clone(),
            steps,
            answer,
        })
    };
    Ok(match problem() {
        Ok(problem) => Entry::Problem(Box::new(problem.into())),
        Err(reason) => Entry::Skipped(reason),
    })
}

/// What stands between `<<` and `>>`, annotation by annotation.
fn annotations(solution: &str) -> Result<Vec<&str>, String> {
    let annotation = |found| {
        let inside = str::split_once(found, ">>").map(|(inside, _)| inside);
        inside.filter(|inside| inside.contains('=')).ok_or_else(|| {
            format!(
                "expected an annotation such as <<48/2=24>>, found {:?}",
                format!("<<{found}")
            )
        })
    };
    solution.split("<<").skip(1).map(annotation).collect()
}

/// A step whose result is right. A leading plus, thousands' commas and `.00` are read as if they
/// were not there.
fn step(annotation: &str) -> Result<Step, &'static str> {
    let (expression, result) = match annotation.split('=').collect::<Vec<_>>()[..] {
        [expression, result] => (plain(expression), plain(result)),
        _ => return Err(reason::SEVERAL_EQUALS),
    };
    if annotation.contains('%') {
        return Err(reason::PERCENT);
    }
    if expression.contains('.') || result.contains('.') {
        return Err(reason::NOT_WHOLE);
    }
    let value = evaluate(&expression).map_err(|error| match error {
        ExpressionError::Syntax { .. } => reason::OTHER_SIGNS,
        ExpressionError::NotWhole { .. } => reason::NOT_WHOLE,
    })?;
    let result = result.parse().map_err(|_| reason::OTHER_SIGNS)?;
    match value == result {
        true => Ok(Step { expression, result }),
        false => Err(reason::WRONG_STEP),
    }
}

fn whole_answer(answer: &str) -> Result<i64, &'static str> {
    if answer.contains(['$', '€', '£']) {
        return Err(reason::CURRENCY);
    }
    let number = answer.replace([' ', '\n', ','], "");
    number.parse().map_err(|_| reason::ANSWER)
}

/// Numbers and signs without spaces, thousands' commas, a leading plus, and zeros after a point.
fn plain(text: &str) -> String {
    let text = text.replace([' ', ','], "");
    let mut plain = String::new();
    let mut rest = text.strip_prefix('+').unwrap_or(&text);
    while let Some(point) = rest.find('.') {
        let zeros = rest[point + 1..].bytes().take_while(|b| *b == b'0').count();
        let end = point + 1 + zeros;
        let is_whole = zeros > 0
            && rest[..point].ends_with(|c: char| c.is_ascii_digit())
            && !rest[end..].starts_with(|c: char| c.is_ascii_digit());
        plain.push_str(&rest[..if is_whole { point } else { end }]);
        rest = &rest[end..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{Loaded, arithmetic::TASK};

    fn line(answer: &str) -> String {
        json!({"question": "Q?", "answer": answer}).to_string()
    }

    fn load(text: &str) -> Loaded {
        TASK.load(text).expect("a good file")
    }

    #[test]
    fn annotations_become_steps() {
        let answer = "In April 48/2 = <<48/2=24>>24.\nIn all <<1,000 + 24=1024>>.\n#### 1,024";
        let loaded = load(&format!("{}\n\n", line(answer)));
        let steps = ["<<48/2=24>>", "<<1000+24=1024>>"];
        assert_eq!(loaded.problems[0].steps(), steps);
        assert_eq!(loaded.problems[0].answer(), "1024");
        assert_eq!((loaded.problems.len(), loaded.skipped.len()), (1, 0));
    }

    #[test]
    fn numbers_written_otherwise_are_read() {
        for (annotation, read) in [
            ("+7=7", "<<7=7>>"),
            ("8.00+7.0=15.00", "<<8+7=15>>"),
            ("1,000+24=1,024", "<<1000+24=1024>>"),
            ("8-15=-7", "<<8-15=-7>>"),
            ("(100.00-40)/2=30", "<<(100-40)/2=30>>"),
        ] {
            let step = step(annotation).expect("a good step");
            assert_eq!(step.to_string(), read);
        }
    }

    #[test]
    fn what_is_left_out_is_counted_under_its_own_reason() {
        let cases = [
            ("no annotation #### 3", reason::NO_ANNOTATION),
            ("<<1/2=0.5>> #### 3", reason::NOT_WHOLE),
            ("<<.5*8=4>> #### 4", reason::NOT_WHOLE),
            ("<<10.005*8=4>> #### 4", reason::NOT_WHOLE),
            ("<<1+2=3>> <<7/2=3>> #### 3", reason::NOT_WHOLE),
            ("<<1+1=3>> #### 3", reason::WRONG_STEP),
            ("<<1+2=3>> #### 3.5", reason::ANSWER),
            ("<<1+2=3>> #### $3", reason::CURRENCY),
            ("<<50%*4=2>> #### 2", reason::PERCENT),
            ("<<1+2=2+1=3>> #### 3", reason::SEVERAL_EQUALS),
            ("<<2x3=6>> #### 6", reason::OTHER_SIGNS),
        ];
        for (answer, expected) in cases {
            let loaded = load(&line(answer));
            assert!(loaded.problems.is_empty(), "{answer}");
            assert_eq!(loaded.skipped[0].reason, expected, "{answer}");
        }
        let all = load(&cases.map(|(answer, _)| line(answer)).join("\n"));
        let reasons = all.reasons();
        assert_eq!(reasons.len(), 8, "{reasons:?}");
        assert_eq!(
            reasons[1],
            "4 with a number that is not whole (line 2, line 3, line 4, line 5)"
        );
    }

    #[test]
    fn a_malformed_line_is_named() {
        let good = line("<<1+2=3>> #### 3");
        let cases = [
            (
                "{\"question\": \"Q?\"}".to_string(),
                "missing field `answer`",
            ),
            ("[".into(), "EOF"),
            (line("<<1+2=3>> ### 3"), "####"),
            (line("<<1+2=3 #### 3"), "<<1+2=3"),
            (line("<<1+2>> #### 3"), "<<1+2>>"),
        ];
        for (bad, expected) in cases {
            let error = TASK.load(&format!("{good}\n\n{bad}\n{good}"));
            let error = error.expect_err(&bad).to_string();
            assert!(
                error.starts_with("line 3: ") && error.contains(expected),
                "{error}"
            );
        }
        let error = TASK.load("Q?||<<1+2=3>> #### 3\nQ? <<1+2=3>>");
        let error = error.expect_err("no bars").to_string();
        assert!(error.starts_with("line 2: expected question||"), "{error}");
    }
}
