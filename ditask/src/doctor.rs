pub(crate) fn run(_: &crate::arguments::Doctor) -> crate::fault::Result {
    Ok(())
}
