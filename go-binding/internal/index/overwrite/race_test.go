//go:build race

package overwrite

const raceDetector = true
