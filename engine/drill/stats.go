package drill

import "math"

// confidence is the share of quiet spans that a bound holds in.
const confidence = 0.99

// poissonCDF is the probability of at most k events where mean are expected.
func poissonCDF(k int, mean float64) float64 {
	if mean <= 0 {
		return 1
	}
	sum, term := 0.0, -mean // term is a logarithm: exp(-mean) itself may be too small for a float
	for i := 0; i <= k; i++ {
		if i > 0 {
			term += math.Log(mean) - math.Log(float64(i))
		}
		sum += math.Exp(term)
	}
	return min(sum, 1)
}

// poissonBound is the least number that so many events do not exceed in 99 of 100 spans.
func poissonBound(mean float64) int {
	if mean > 1000 { // the normal distribution is close enough, and quick
		return int(math.Ceil(mean + 2.326*math.Sqrt(mean)))
	}
	k := 0
	for poissonCDF(k, mean) < confidence {
		k++
	}
	return k
}

// poissonMost is the greatest mean that k seen events go with, at 99 %: what the true rate may be.
func poissonMost(k int) float64 {
	if k > 1000 {
		return float64(k) + 2.326*math.Sqrt(float64(k)) + 2.6
	}
	return bisect(0, float64(k)*2+20, func(mean float64) bool { return poissonCDF(k, mean) > 1-confidence })
}

// binomialCDF is the probability of at most k of n where each has the probability p.
func binomialCDF(k, n int, p float64) float64 {
	switch {
	case k >= n || p <= 0:
		return 1
	case p >= 1:
		return 0
	}
	sum, term := 0.0, float64(n)*math.Log1p(-p)
	for i := 0; i <= k; i++ {
		if i > 0 {
			term += math.Log(float64(n-i+1)) - math.Log(float64(i)) + math.Log(p) - math.Log1p(-p)
		}
		sum += math.Exp(term)
	}
	return min(sum, 1)
}

// binomialBound is the least number that the failures of n tries do not exceed in 99 of 100 spans.
func binomialBound(n int, p float64) int {
	k := 0
	for k < n && binomialCDF(k, n, p) < confidence {
		k++
	}
	return k
}

// binomialMost is the greatest share of failures that k seen ones of n go with, at 99 %.
func binomialMost(k, n int) float64 {
	if k >= n {
		return 1
	}
	return bisect(0, 1, func(p float64) bool { return binomialCDF(k, n, p) > 1-confidence })
}

// bisect finds where holds turns from true to false between low and high.
func bisect(low, high float64, holds func(float64) bool) float64 {
	for range 60 {
		if mid := (low + high) / 2; holds(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
