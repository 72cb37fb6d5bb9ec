//! Ranks as `--success-on` has them: `0`, `0,2`, `1-3`.

use crate::fault::{Fault, Result};

/// The ranks that a list names, each once and in their order, as Kubernetes wants them.
pub(super) fn read(flag: &str, text: &str, pods: u16) -> Result<String> {
    let wrong = |why: String| Fault::usage(format!("{flag} `{text}`: {why}"));
    let number = |part: &str| {
        let rank: u16 = part.trim().parse().map_err(|_| wrong(format!("`{part}` is no rank")))?;
        match rank < pods {
            true => Ok(rank),
            false => Err(wrong(format!("there is no pod {rank}: {pods} of them count from 0"))),
        }
    };
    let mut ranks = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong(format!("`{part}` goes backwards")));
        }
        ranks.extend(first..=last);
    }
    ranks.sort_unstable();
    ranks.dedup();
    let texts: Vec<String> = ranks.iter().map(u16::to_string).collect();
    Ok(texts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_in_their_order_and_once() {
        for (text, expected) in [("0", "0"), ("2,0", "0,2"), ("1-3,2", "1,2,3"), (" 1 , 0", "0,1")] {
            assert_eq!(read("--success-on", text, 4).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_rank_names_the_flag() {
        for text in ["", "x", "4", "-1", "2-1", "0,", "0-4"] {
            let fault = read("--success-on", text, 4).unwrap_err();
            assert!(fault.to_string().starts_with("--success-on"), "{text}: {fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
