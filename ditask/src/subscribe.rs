pub(crate) fn run(_: &crate::arguments::Sub) -> crate::fault::Result {
    Ok(())
}
