//! Lists of hosts as Slurm writes them: `SH-IDC1-10-5-38-[190,215],login,gpu[01-03]-[0-1]`.

/// The most hosts that a list may stand for.
const MOST: usize = 65_536;

/// The hosts that a list stands for, in its order.
pub(super) fn expand(list: &str) -> Result<Vec<String>, String> {
    let mut hosts = Vec::new();
    for entry in entries(list)? {
        hosts.extend(expand_entry(entry)?);
        if hosts.len() > MOST {
            return Err(format!("more than {MOST} hosts"));
        }
    }
    Ok(hosts)
}

/// The parts between the commas that stand outside of brackets.
fn entries(list: &str) -> Result<Vec<&str>, String> {
    let (mut entries, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, character) in list.char_indices() {
        match character {
            '[' if depth == 0 => depth = 1,
            '[' => return Err("a bracket within brackets".to_owned()),
            ']' => depth = depth.checked_sub(1).ok_or("a `]` without `[`")?,
            ',' if depth == 0 => {
                entries.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a `[` without `]`".to_owned());
    }
    entries.push(&list[start..]);
    match entries.iter().any(|entry| entry.trim().is_empty()) {
        true => Err("a name between the commas is empty".to_owned()),
        false => Ok(entries.into_iter().map(str::trim).collect()),
    }
}

/// The hosts of one part: the ranges in its brackets, each combined with each.
fn expand_entry(entry: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = entry.split_once('[') else { return Ok(vec![entry.to_owned()]) };
    let (ranges, after) = rest.split_once(']').ok_or("a `[` without `]`")?;
    let behind = expand_entry(after)?;
    let mut hosts = Vec::new();
    for number in ranges.split(',') {
        for number in range(number.trim())? {
            hosts.extend(behind.iter().map(|behind| format!("{before}{number}{behind}")));
        }
        if hosts.len() > MOST {
            return Err(format!("more than {MOST} hosts"));
        }
    }
    Ok(hosts)
}

/// `7`, or `0-3`, or `001-010`: the first number's width is kept.
fn range(text: &str) -> Result<Vec<String>, String> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>()
            .ok()
            .filter(|_| digits)
            .ok_or_else(|| format!("`{text}` in brackets is no number"))
    };
    let Some((first, last)) = text.split_once('-') else {
        return number(text).map(|_| vec![text.to_owned()]);
    };
    let (from, to) = (number(first)?, number(last)?);
    if from > to {
        return Err(format!("the range {text} goes backwards"));
    }
    if to - from >= MOST {
        return Err(format!("more than {MOST} hosts"));
    }
    let width = first.len();
    Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_slurm_writes_is_read() {
        for (list, hosts) in [
            ("SH-IDC1-10-5-38-[190,215]", vec!["SH-IDC1-10-5-38-190", "SH-IDC1-10-5-38-215"]),
            ("SH-[0-3,7]", vec!["SH-0", "SH-1", "SH-2", "SH-3", "SH-7"]),
            ("one", vec!["one"]),
            ("one,two", vec!["one", "two"]),
            ("n[001-003]", vec!["n001", "n002", "n003"]),
            ("n[8-11]", vec!["n8", "n9", "n10", "n11"]),
            ("n[08-11]", vec!["n08", "n09", "n10", "n11"]),
            ("a[1-2],login,b[5,7]", vec!["a1", "a2", "login", "b5", "b7"]),
            ("r[0-1]n[3-4]", vec!["r0n3", "r0n4", "r1n3", "r1n4"]),
            ("r[0-1]-x", vec!["r0-x", "r1-x"]),
        ] {
            assert_eq!(expand(list).unwrap(), hosts, "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in [
            "",
            "a,,b",
            "a[1",
            "a1]",
            "a[[1]]",
            "a[]",
            "a[x]",
            "a[3-1]",
            "a[1-]",
            "a[-1]",
            "a[0-99999999]",
            "a[0-999][0-999]",
        ] {
            assert!(expand(list).is_err(), "{list}");
        }
    }
}
