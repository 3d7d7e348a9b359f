// The same order in goroutines: three steps in parallel under one context, the first failure cancels the rest, an
// atomic tracker counts what runs. Standard library only, so that it builds with nothing from anywhere.
//
//	go run main.go -storm 5s      64 orders at a time: payment fails after 5 ms, siblings would take 800 ms
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

var running, started, finished int64

var stepNames = [3]string{"payment", "vendor", "courier"}

type order struct {
	OrderID  string
	Amount   int64
	FailStep string
	DelayMs  map[string]int
}

type stepAnswer struct {
	Name       string
	Status     string
	DurationMs int64
	Detail     string
}

type failure struct {
	Kind    string
	Message string
}

type answer struct {
	Status  string
	OrderID string
	Steps   []stepAnswer
	Error   *failure
}

var errFailed = errors.New("step failed")

func step(ctx context.Context, o *order, name string) error {
	atomic.AddInt64(&running, 1)
	atomic.AddInt64(&started, 1)
	defer func() {
		atomic.AddInt64(&running, -1)
		atomic.AddInt64(&finished, 1)
	}()
	if delay := o.DelayMs[name]; delay > 0 {
		timer := time.NewTimer(time.Duration(delay) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if o.FailStep == name {
		return errFailed
	}
	return ctx.Err()
}

func run(parent context.Context, o *order) answer {
	ctx, cancel := context.WithTimeout(parent, 2*time.Second)
	defer cancel()
	begin := time.Now()
	result := answer{Status: "ok", OrderID: o.OrderID, Steps: make([]stepAnswer, len(stepNames))}
	var group sync.WaitGroup
	var first sync.Once
	for i, name := range stepNames {
		group.Add(1)
		go func(i int, name string) {
			defer group.Done()
			err := step(ctx, o, name)
			report := stepAnswer{Name: name, Status: "ok", DurationMs: time.Since(begin).Milliseconds()}
			switch {
			case errors.Is(err, errFailed):
				report.Status, report.Detail = "error", name
			case err != nil:
				report.Status, report.Detail = "canceled", err.Error()
			}
			result.Steps[i] = report
			if err != nil {
				first.Do(func() {
					result.Status, result.Error = "error", &failure{Kind: name, Message: "order failed"}
					cancel()
				})
			}
		}(i, name)
	}
	group.Wait()
	return result
}

func storm(length time.Duration) {
	o := &order{OrderID: "storm", Amount: 1, FailStep: "payment", DelayMs: map[string]int{"payment": 5, "vendor": 800, "courier": 800}}
	var orders int64
	var clients sync.WaitGroup
	begin := time.Now()
	for c := 0; c < 64; c++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for time.Since(begin) < length {
				run(context.Background(), o)
				atomic.AddInt64(&orders, 1)
			}
		}()
	}
	clients.Wait()
	fmt.Printf("{\"ordersPerSecond\":%.0f,\"running\":%d,\"started\":%d,\"finished\":%d}\n",
		float64(orders)/time.Since(begin).Seconds(), running, started, finished)
}

func main() {
	length := flag.Duration("storm", 5*time.Second, "for how long")
	flag.Parse()
	storm(*length)
}
