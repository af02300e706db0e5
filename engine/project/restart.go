package project

// Restarts says whether the restart policy brings a container back after exit code 0.
func (s *Service) Restarts() bool {
	policy := s.restartPolicy()
	return policy == "always" || policy == "unless-stopped" || policy == "any"
}

// StaysDown says whether no policy brings a container back.
func (s *Service) StaysDown() bool {
	policy := s.restartPolicy()
	return policy == "" || policy == "no" || policy == "none"
}

func (s *Service) restartPolicy() string {
	if d := s.Config.Deploy; d != nil && d.RestartPolicy != nil {
		if d.RestartPolicy.Condition == "" {
			return "any"
		}
		return d.RestartPolicy.Condition
	}
	return s.Config.Restart
}
