package docker

// Explain implements container.Explainer.
func (e *apiError) Explain() (text, remedy string) { return e.what + ": " + e.text, e.remedy }
