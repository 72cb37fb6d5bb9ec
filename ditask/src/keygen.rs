pub(crate) fn run(_: &crate::arguments::Keygen) -> crate::fault::Result {
    Ok(())
}
